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
from crowdtruth.agreement.nominal import STATISTICS
from crowdtruth.agreement.pairs import PairCounts, count_pairs, pairwise_kappa
from crowdtruth.agreement.rater_map import RaterMap, rater_map, rater_map_table
from crowdtruth.agreement.raters import kappa_matrix, pairwise_table
from crowdtruth.agreement.sweeps import agreement_sweep, inferred_objects
from crowdtruth.agreement.tables import SCOPES, agreement_difference, agreement_table
from crowdtruth.agreement.within import self_agreement

__all__ = [
    "SCOPES",
    "STATISTICS",
    "AgreementCounts",
    "ItemCounts",
    "PairCounts",
    "RaterMap",
    "agreement_difference",
    "agreement_level",
    "agreement_sweep",
    "agreement_table",
    "cohen_kappa",
    "count_items",
    "count_pairs",
    "fleiss_kappa",
    "gwet_ac",
    "inferred_objects",
    "kappa_matrix",
    "krippendorff_alpha",
    "pairwise_kappa",
    "pairwise_table",
    "percent_agreement",
    "rater_map",
    "rater_map_table",
    "self_agreement",
    "sum_coincidences",
    "sum_over_groups",
    "why_undefined",
]
