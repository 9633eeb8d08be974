"""Agreement of raters with themselves between two conditions, and the suggestions that they accepted."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from crowdtruth.agreement import self_agreement
from crowdtruth.resampling import bootstrap
from tests.rating_tables import FEW, study


def test_self_agreement__equals_scikit_learn():
    ratings = study()
    table = self_agreement(ratings, between=[("u", "e")], scopes=["detection_and_classification"], **FEW)
    assert table["rater"].tolist() == [f"r{i}" for i in range(6)]
    for row in table.itertuples():
        own = ratings[ratings["rater"] == row.rater].pivot(index="anchor", columns="condition", values="label")
        assert row.kappa == pytest.approx(cohen_kappa_score(own["u"], own["e"]), abs=1e-12)
        assert row.n_anchors == len(own)


def clicks_of(ratings, share):
    """A mark for each label that is one; of the condition e, so many of each rater are clicks."""
    marks = ratings[ratings["label"] != "undetected"]
    place = marks.groupby(["rater", "condition"]).cumcount()
    size = marks.groupby(["rater", "condition"])["label"].transform("size")
    is_click = (marks["condition"] == "e") & (place < share * size)
    return marks.assign(kind=np.where(is_click, "click", "box"))[["fov", "rater", "condition", "kind"]]


def test_self_agreement__counts_the_clicks_of_each_rater_alone():
    ratings = study().replace({"rater": {"r0": "NP.1", "r1": "NP.10", "r2": "NP.11"}})
    marks = clicks_of(ratings, 0.25)
    marks.loc[marks["rater"] == "NP.10", "kind"] = "click"
    table = self_agreement(ratings, annotations=marks, scopes=["classification"], **FEW).set_index("rater")
    for rater, row in table.iterrows():
        own = marks[marks["rater"] == rater]
        second = own[own["condition"] == row["second_condition"]]
        assert row["n_marks_first"] == (own["condition"] == row["first_condition"]).sum()
        assert row["n_marks_second"] == len(second)
        assert row["n_clicks_second"] == (second["kind"] == "click").sum()
        assert row["proportion_clicked"] == pytest.approx((second["kind"] == "click").mean())
    assert table.loc["NP.10", "proportion_clicked"] == 1
    assert table.loc["NP.1", "proportion_clicked"] == pytest.approx(0.25, abs=0.01)


def test_self_agreement__resamples_the_fovs_of_a_raters_marks():
    ratings = study()
    marks = clicks_of(ratings, 0.5)
    marks = marks[(marks["rater"] != "r2") | (marks["fov"] < "f2")]  # f0, f1, f10, f11: too few for an interval
    table = self_agreement(ratings, annotations=marks, between=[("u", "e")], scopes=["classification"], **FEW)
    for row in table.itertuples():
        own = marks[(marks["rater"] == row.rater) & (marks["condition"] == "e")]
        of_fov = own.assign(clicked=own["kind"] == "click").groupby("fov")["clicked"].agg(["sum", "size"])
        interval = bootstrap(of_fov.to_numpy(), lambda sums: sums[..., 0] / sums[..., 1], **FEW)
        found = [row.proportion_clicked, row.proportion_clicked_low, row.proportion_clicked_high]
        np.testing.assert_allclose(found, [interval.value, interval.low, interval.high], atol=1e-12)
        assert np.isnan(row.proportion_clicked_low) == (row.rater == "r2")


def test_self_agreement__compares_every_two_conditions_that_without_clicks_first():
    ratings = study(conditions=("b", "e", "u"))
    marks = clicks_of(ratings, 0.5)
    marks.loc[(marks["condition"] == "b") & (np.arange(len(marks)) % 5 == 0), "kind"] = "click"
    table = self_agreement(ratings, annotations=marks, scopes=["classification"], **FEW)
    found = table[["first_condition", "second_condition"]].drop_duplicates()
    assert found.to_numpy().tolist() == [["u", "b"], ["u", "e"], ["b", "e"]]


def test_self_agreement__without_marks_knows_no_clicks():
    ratings = study()
    table = self_agreement(ratings, scopes=["classification"], **FEW)
    assert set(table["first_condition"]) == {"e"}  # by name, where clicks say nothing
    assert table[["n_clicks_second", "proportion_clicked"]].isna().all(axis=None)
    detected = ratings[(ratings["label"] != "undetected") & (ratings["condition"] == "u")].groupby("rater").size()
    assert table["n_marks_second"].tolist() == detected.tolist()


def test_self_agreement__of_one_condition_has_no_rows():
    table = self_agreement(study(conditions=["u"]), **FEW)
    assert table.empty
    assert "proportion_clicked" in table


def test_self_agreement__leaves_out_who_was_asked_under_one_condition_only():
    ratings = study()
    ratings = ratings[~((ratings["rater"] == "r2") & (ratings["condition"] == "e"))]
    table = self_agreement(ratings, between=[("u", "e")], **FEW)
    assert "r2" not in set(table["rater"])
    assert len(table) == 5 * 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: self_agreement(study(), between=["ue"]), "between two conditions, first and second; got 'ue'"),
        (lambda: self_agreement(study(), annotations=study()), "missing: kind"),
        (lambda: self_agreement(study(), between=[("u", "b")]), "no ratings under condition 'b'; there are"),
    ],
)
def test_self_agreement__says_what_is_wrong_with_its_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
