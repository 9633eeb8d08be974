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

__all__ = [
    "AgreementCounts",
    "ItemCounts",
    "PairCounts",
    "agreement_level",
    "cohen_kappa",
    "count_items",
    "count_pairs",
    "fleiss_kappa",
    "gwet_ac",
    "krippendorff_alpha",
    "pairwise_kappa",
    "percent_agreement",
    "sum_coincidences",
    "sum_over_groups",
    "why_undefined",
]
