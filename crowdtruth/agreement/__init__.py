"""Do the raters agree? Coefficients of agreement from ratings and from tables of a study."""

from crowdtruth.agreement.coefficients import (
    cohen_kappa,
    fleiss_kappa,
    gwet_ac,
    krippendorff_alpha,
    percent_agreement,
)
from crowdtruth.agreement.counts import AgreementCounts, ItemCounts, count_items, sum_coincidences, sum_over_groups
from crowdtruth.agreement.formulas import agreement_level, why_undefined
from crowdtruth.agreement.pairs import PairCounts, count_pairs, pairwise_kappa
from crowdtruth.agreement.rater_map import RaterMap, rater_map
from crowdtruth.agreement.raters import kappa_matrix, pairwise_table, self_agreement
from crowdtruth.agreement.tables import SCOPES, STATISTICS, agreement_difference, agreement_table

__all__ = [
    "SCOPES",
    "STATISTICS",
    "AgreementCounts",
    "ItemCounts",
    "PairCounts",
    "RaterMap",
    "agreement_difference",
    "agreement_level",
    "agreement_table",
    "cohen_kappa",
    "count_items",
    "count_pairs",
    "fleiss_kappa",
    "gwet_ac",
    "kappa_matrix",
    "krippendorff_alpha",
    "pairwise_kappa",
    "pairwise_table",
    "percent_agreement",
    "rater_map",
    "self_agreement",
    "sum_coincidences",
    "sum_over_groups",
    "why_undefined",
]
