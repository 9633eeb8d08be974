"""The paper's figures: `pick_…` says which rows, `draw_…` draws them, `ours_…` are values the paper prints too."""
