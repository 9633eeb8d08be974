"""Which anchors are hardest: where the inferred label is undecided, and where raters said different things."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crowdtruth.ratings import of_cohorts

RANKED = 200


def rank_anchors(
    truth: pd.DataFrame, ratings: pd.DataFrame, members_of: Mapping[str, Sequence[str]], n_ranked: int = RANKED
) -> pd.DataFrame:
    """The hardest anchors, hardest first, spread over FOVs.

    Hardness is the entropy of the inferred label plus the disagreement of the raters, which is the entropy of the
    labels they gave (``undetected`` among them). An anchor counts once, with the cohort and condition in which it is
    hardest. No FOV gives more than twice its even share as long as others have any.

    Parameters
    ----------
    truth : anchor, fov, cohort, condition, entropy
    ratings : anchor, cohort, condition, label at the level of the inferred labels
    members_of : cohort of `truth` -> the cohorts of `ratings` that it unites
    n_ranked : how many at most

    Returns
    -------
    one row per anchor
        The columns of `truth`, disagreement and hardness; anchors on which all are of one mind are left out.

    Examples
    --------
    >>> truth = pd.DataFrame({"anchor": ["1", "2"], "fov": "f", "cohort": "P", "condition": "all", "entropy": [0.1, 0]})
    >>> ratings = pd.DataFrame({"anchor": list("1122"), "cohort": "P", "condition": "all", "label": list("abcc")})
    >>> rank_anchors(truth, ratings, {"P": ["P"]})[["anchor", "disagreement", "hardness"]].round(2).values.tolist()
    [['1', 0.69, 0.79]]
    """
    keys = ["anchor", "cohort", "condition"]
    said = vote_entropy(of_cohorts(ratings.astype(dict.fromkeys((*keys, "label"), "str")), members_of), keys)
    table = truth.astype(dict.fromkeys(keys, "str")).merge(said, on=keys, how="left")
    table = table.assign(disagreement=table["disagreement"].fillna(0.0), entropy=table["entropy"].fillna(0.0))
    table["hardness"] = table["entropy"] + table["disagreement"]
    table = table[table["hardness"] > 0].sort_values(["hardness", *keys], ascending=[False, True, True, True])
    table = table.drop_duplicates("anchor")
    share = -(-2 * n_ranked // max(1, table["fov"].nunique()))
    beyond = (table.groupby("fov", observed=True).cumcount() >= share).to_numpy()
    return table.iloc[np.sort(np.argsort(beyond, kind="stable")[:n_ranked])].reset_index(drop=True)


def vote_entropy(ratings: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The entropy of the labels given, in nats, for each group of ratings: keys, disagreement."""
    counts = ratings.groupby([*keys, "label"], sort=False).size().rename("n").reset_index()
    share = counts["n"] / counts.groupby(keys)["n"].transform("sum")
    counts["disagreement"] = -share * np.log(share)
    return counts.groupby(keys, sort=False)["disagreement"].sum().reset_index()
