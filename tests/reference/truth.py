"""Plain-Python truth inference on lists of (item, rater, label) triples: obvious, slow, kept for ever."""

from collections import Counter, defaultdict
from math import inf, log, prod


def vote_shares(ratings, items, classes):
    """Share of each class among an item's ratings, item -> class -> share; uniform without ratings."""
    votes = {item: Counter() for item in items}
    for item, _, label in ratings:
        votes[item][label] += 1
    return {
        item: {c: own[c] / own.total() if own else 1 / len(classes) for c in classes} for item, own in votes.items()
    }


def even_errors(quality, raters, classes):
    """Confusion of raters who are right with one probability and else err evenly: rater -> true -> assigned."""
    wrong = (1 - quality) / (len(classes) - 1) if len(classes) > 1 else 0
    row = {t: {a: (quality if a == t else wrong) if len(classes) > 1 else 1.0 for a in classes} for t in classes}
    return dict.fromkeys(raters, row)


def e_step(ratings, items, classes, prevalence, confusion, *, gold=None):
    """Posterior of each item, and the log-likelihood of the ratings (and of the known classes)."""
    gold = gold or {}
    given = defaultdict(list)
    for item, rater, label in ratings:
        given[item].append((rater, label))
    posterior, log_likelihood = {}, 0.0
    for item in items:
        joint = {c: prevalence[c] * prod(confusion[rater][c][label] for rater, label in given[item]) for c in classes}
        if item in gold:
            joint = {c: p if c == gold[item] else 0.0 for c, p in joint.items()}
        total = sum(joint.values())
        if total > 0:
            posterior[item] = {c: p / total for c, p in joint.items()}
            log_likelihood += log(total)
        else:
            known = {c: float(c == gold[item]) for c in classes} if item in gold else None
            posterior[item] = known or {c: 1 / len(classes) for c in classes}
            log_likelihood = -inf
    return posterior, log_likelihood


def m_step(ratings, items, classes, posterior, start, *, pseudo_counts=0.0, prior_quality=0.7):
    """Prevalence and confusion from posteriors, and from ratings and items that are added."""
    prevalence = {c: sum(posterior[i][c] for i in items) + pseudo_counts for c in classes}
    prevalence = {c: n / sum(prevalence.values()) for c, n in prevalence.items()}
    prior = even_errors(prior_quality, [0], classes)[0]
    mass = defaultdict(float)
    for item, rater, label in ratings:
        for c in classes:
            mass[rater, c, label] += posterior[item][c]
    confusion = {}
    for rater in start:
        confusion[rater] = {}
        for t in classes:
            row = {a: mass[rater, t, a] + pseudo_counts * prior[t][a] for a in classes}
            total = sum(row.values())
            confusion[rater][t] = {a: n / total for a, n in row.items()} if total > 0 else start[rater][t]
    return prevalence, confusion


def dawid_skene(ratings, items, raters, classes, *, start=0.7, n_iter=70, pseudo_counts=0.0, gold=None):
    """EM: posterior of the last E-step, prevalence and confusion of the last M-step, log-likelihood of each E-step.

    `start` is the quality of every rater, or "votes".
    """
    prevalence = {c: 1 / len(classes) for c in classes}
    if start == "votes":
        confusion = {rater: {t: {a: 1 / len(classes) for a in classes} for t in classes} for rater in raters}
        shares = vote_shares(ratings, items, classes)
        for item, c in (gold or {}).items():
            shares[item] = {k: float(k == c) for k in classes}
        first = confusion
        prevalence, confusion = m_step(ratings, items, classes, shares, first, pseudo_counts=pseudo_counts)
    else:
        first = confusion = even_errors(start, raters, classes)
    trace = []
    for _ in range(n_iter):
        posterior, log_likelihood = e_step(ratings, items, classes, prevalence, confusion, gold=gold)
        prevalence, confusion = m_step(ratings, items, classes, posterior, first, pseudo_counts=pseudo_counts)
        trace.append(log_likelihood)
    return posterior, prevalence, confusion, trace


def one_coin(ratings, items, raters, classes, *, start=0.7, n_iter=70, pseudo_counts=0.0, prior_quality=0.7):
    """EM with one quality per rater: posterior of the last E-step, quality of the last M-step."""
    prevalence, quality = {c: 1 / len(classes) for c in classes}, dict.fromkeys(raters, start)
    for _ in range(n_iter):
        confusion = {rater: even_errors(q, [rater], classes)[rater] for rater, q in quality.items()}
        posterior, _ = e_step(ratings, items, classes, prevalence, confusion)
        prevalence = {c: sum(posterior[i][c] for i in items) + pseudo_counts for c in classes}
        prevalence = {c: n / sum(prevalence.values()) for c, n in prevalence.items()}
        for rater in raters:
            own = [posterior[i][label] for i, r, label in ratings if r == rater]
            if own or pseudo_counts > 0:
                quality[rater] = (sum(own) + pseudo_counts * prior_quality) / (len(own) + pseudo_counts)
    return posterior, quality


def inferred_label(posterior, given, classes):
    """The first in class order of the most probable classes among those given; `classes` ends with undetected."""
    among = [c for c in classes if c in given]
    most = max((posterior[c] for c in among), default=0)
    return next((c for c in among if posterior[c] >= most * (1 - 1e-9)), "")


def rate_anchors(members, assignments, cohorts, anchors):
    """(anchor, rater, cohort, condition, label) of each asked rater.

    `members` are (anchor, rater, condition, label); `assignments` (fov, rater, condition); `anchors` (anchor, fov).
    """
    rows = []
    for anchor, fov in anchors:
        for asked_fov, rater, condition in sorted(set(assignments), key=lambda a: (a[1], a[2])):
            if asked_fov == fov:
                given = [label for a, r, c, label in members if (a, r, c) == (anchor, rater, condition)]
                votes = Counter(given)
                label = max(given, key=lambda name: (votes[name], -given.index(name))) if given else "undetected"
                rows.append((anchor, rater, cohorts[rater], condition, label))
    return rows
