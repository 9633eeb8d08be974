"""From a pilot: how many raters per FOV, of which cohort and at which cost, reach a target?"""

from crowdtruth.planning.plan import DEFAULT_REALIZATIONS, DEFAULT_REPLICATES, plan_raters
from crowdtruth.planning.targets import DEFAULT_SHORTFALL, Target, check_plan, parse_price, parse_target

__all__ = [
    "DEFAULT_REALIZATIONS",
    "DEFAULT_REPLICATES",
    "DEFAULT_SHORTFALL",
    "Target",
    "check_plan",
    "parse_price",
    "parse_target",
    "plan_raters",
]
