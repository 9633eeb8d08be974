"""One command per figure and table of the paper: computed with `crowdtruth`, drawn, the printed values beside ours."""
