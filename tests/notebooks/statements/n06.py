"""What 06_scoreboard states, and what follows from what it prints."""

import math
import re
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import nn

from mnistkit import build_model
from mnistkit.errors import ResultError
from mnistkit.metrics import interval_of_mean
from mnistkit.study.claims import CLAIMS, find_claims
from mnistkit.study.plan import feature_operations, full_plan, training_operations
from mnistkit.study.report import describe
from mnistkit.study.rules import QMNIST_DIGITS, TEST_DIGITS, Beats, HasLoss, Reaches, points
from mnistkit.study.table import COMMAND, TABLE, read_table
from tests.notebooks.statements import Statement
from tests.notebooks.statements.bounds import stored_runs
from tests.notebooks.statements.evidence import does
from tests.notebooks.statements.outputs import to_number

V2, HAND, DRAWN = "v2 = runs.of(", "published, accuracies = 0.9194", "draw_published(rows"
TESTED, BOTH, TRIED = "tested = rules.judge_runs", "both = pd.DataFrame", "tried = []"
BOARD, WHY, COUNTS = "board = report.scoreboard(runs)", 'board[["measured"', "rename_axis(None)"
DIRECTIONS, SPREAD, PICKED = "pairs = {", "runs.split_spread(", "on_test = runs.by_epoch("
TRADEOFF, BITS, AGAIN = "plot_tradeoff(table", 'for name in ("V2", "FastCNN")', "again = run_grid("
BY_PREDICTION = "runs found reproduced by the prediction interval"
BY_FIRST = "runs found reproduced by the first rule"
DEPENDING, UNDECIDED = "claims depend on what is not said", "claims undecided"
COST = re.compile(r"([\w' ]+?) ([\d.]+) % at ([\d.,]+)(?=[;.])")
NAMES = {"MobileNetV2": "MobileNetV2 head"}
MLPS = "A baseline", "A wide", "B MLP", "D deep", "E MLP"
SEVERAL = {*MLPS, "V2", "B CNN", "E CNN", "E CNN corrected", "FastCNN", "CompactCNN"}
BOTH_KINDS = torch.bfloat16, torch.float32
ROW = re.compile(
    r"(\w\d) [^:]+: (\d+) runs, mean ([\d.]+) \[([\d.]+), ([\d.]+)\], "
    r"one more \[([\d.]+), ([\d.]+)\]; published ([\d.]+)"
)


class Row(NamedTuple):
    """A published accuracy among ours, in percent: our mean, both its intervals, and theirs."""

    n: float
    mean: float
    low: float
    high: float
    one_low: float
    one_high: float
    published: float


def rows(out):
    """The rows of the figure of published accuracies, by claim."""
    return {id: Row(*map(float, values)) for id, *values in ROW.findall(out.alt(DRAWN))}


def inside(out, thin=True):
    """The claims whose published accuracy lies in the thin interval, or in the thick one."""
    ends = ("one_low", "one_high") if thin else ("low", "high")
    drawn = rows(out).items()
    return {i for i, r in drawn if getattr(r, ends[0]) <= r.published <= getattr(r, ends[1])}


def v2(out):
    """The accuracies of V2's ten runs."""
    return [to_number(accuracy) for accuracy in out.table(V2)["test_accuracy"]]


def by_hand(out):
    """Of V0, in percent: mean, ends, runs, and what was published; for the mean, for one run."""
    told = out.numbers(HAND, r": ([\d.]+) % \[([\d.]+), ([\d.]+)\] \(n = (\d+)\), ([\d.]+)%")
    return told[:5], told[5:]


def reach(runs=None):
    """Half the width of V0's interval for one further run, in percent, by the formula."""
    values = 100 * stored_runs().of("V0")["test_accuracy"]
    n = runs or len(values)
    return stats.t.ppf(0.975, n - 1) * values.std(ddof=1) * math.sqrt(1 + 1 / n)


def says_inside(out, words):
    """Whether the printed line on this interval around V0 says inside."""
    (line,) = (line for line in out.text(HAND).splitlines() if line.startswith(words))
    return line.endswith(" inside")


def verdicts(out, *ids):
    """The verdicts on these claims, by the board."""
    return set(out.table(BOARD).loc[[*ids], "verdict"])


def claims_found(out, verdict):
    board = out.table(BOARD)
    return {*board.index[board["verdict"] == verdict]}


def both(out):
    """Claim: its verdicts by the first rule and by the prediction interval."""
    table = out.table(BOTH)
    return {row.split()[0]: tuple(table.loc[row]) for row in table.index}


def changed(out):
    return {claim: pair for claim, pair in both(out).items() if len({*pair}) == 2}


def at(out, claim, verdict):
    """The settings at which a claim has this verdict."""
    table = out.table(TRIED).loc[claim]
    return {*table["setting"][table["verdict"] == verdict]}


def settings(out, claim):
    return {*out.table(TRIED).loc[claim, "setting"]}


def rates(out, claim):
    return {words.split()[1] for words in settings(out, claim)}


def epochs(out, claim):
    return {words.split()[3] for words in settings(out, claim)}


def hanging(out):
    """The claims with several verdicts, as the settings change."""
    verdicts = out.table(TRIED)["verdict"]
    return {id for id, each in verdicts.groupby(level=0) if each.nunique() > 1}


def one_more(out, claim, rate):
    """The ends of the intervals at a rate, in percent."""
    rows = out.table(TRIED).loc[claim]
    words = rows["one further run"][rows["setting"].str.split().str[1] == rate]
    return [
        tuple(map(float, re.search(r"\[([\d.]+), ([\d.]+)\]", each).groups())) for each in words
    ]


def leads_at(rate):
    """By how much A's wide network is ahead of the baseline, both at a rate."""
    return stored_runs().difference(f"A wide{rate}", f"A baseline{rate}")


def claim(id):
    (found,) = (claim for claim in CLAIMS if claim.id == id)
    return found


def first_rule(claim):
    """The rule on a claim, or the first of several."""
    return getattr(claim.rule, "rules", [claim.rule])[0]


def one_accuracy(id):
    """Whether a claim is about the accuracy of one run, with no range."""
    rule = first_rule(claim(id))
    return getattr(rule, "low", 0) == getattr(rule, "high", 1)


def counting_is_added(row):
    """Whether an interval for one further run is the wider by counting, for A1 to A4 alone."""
    id, r = row
    rule = first_rule(claim(id))
    s = stored_runs().of(rule.name)["test_accuracy"].std(ddof=1)
    p = r.published / 100
    counts = 1 / TEST_DIGITS - 1 / QMNIST_DIGITS
    counted = p * (1 - p) * counts if id in ("A1", "A2", "A3", "A4") else 0
    half = 100 * stats.t.ppf(0.975, r.n - 1) * math.sqrt(s**2 * (1 + 1 / r.n) + counted)
    return abs((r.one_high - r.one_low) / 2 - half) < 0.006


def runs_of_claims():
    """How many runs there are of each recipe that a claim needs, or the choice of a rate."""
    parts = [(*c.rule.names, *c.rule.tried, *c.needs) for c in CLAIMS]
    names = {name for part in parts for name in part}
    names |= {name for name in stored_runs().frame["name"] if name.startswith("tune ")}
    return [len(stored_runs().of(name)) for name in names]


@cache
def recipe(name):
    return {entry.name: entry.recipe for entry in full_plan(stored_runs().frame)}[name]


@cache
def changed_digits_are_noticed():
    """Whether the table with another digit, in each of three of its lines, is refused."""
    lines = TABLE.read_text().splitlines()
    return all(_refused(lines, place) for place in range(1, len(lines), len(lines) // 3 + 1))


def _refused(lines, place):
    digit = re.search(r"0\.\d{3}(\d)", lines[place])
    other = str((int(digit[1]) + 1) % 10)
    line = lines[place][: digit.start(1)] + other + lines[place][digit.end(1) :]
    with TemporaryDirectory() as folder:
        path = Path(folder) / TABLE.name
        path.write_text("\n".join([*lines[:place], line, *lines[place + 1 :], ""]))
        try:
            read_table(path)
        except ResultError:
            return True
    return False


def scores(out):
    """The differences in the figure of directions, by the first of their words."""
    return out.scores(DIRECTIONS)


def settled(out):
    return {name for name, s in scores(out).items() if s.low > 0 or s.high < 0}


def pairs(out):
    """Each pair of recipes whose difference is drawn, the better one first."""
    return set(re.findall(r'": \("([^"]+)", "([^"]+)"\)', out.cell(DIRECTIONS).source))


def pairs_claimed(*ids):
    rules = [getattr(claim(id).rule, "rules", [claim(id).rule]) for id in ids]
    return {pair for several in rules for rule in several for pair in getattr(rule, "pairs", ())}


def apart(out):
    """Points by which two runs of A's baseline differ."""
    return out.number(DIRECTIONS, r"differ by ([\d.]+) points")


def differs_as_stored(out, words, better, than):
    """Whether a line of the figure shows the paired difference, with its 95 % interval."""
    stored, drawn = 100 * stored_runs().difference(better, than), scores(out)[words]
    ends = zip(drawn, (stored.mean, stored.low, stored.high), strict=True)
    return all(abs(one - other) < 0.006 for one, other in ends)


def real(out, name):
    """The share of the variance that is a difference between networks."""
    whole, _, networks = out.table(SPREAD).loc[name]
    return (networks / whole) ** 2


def gifts():
    """What each run gains if test chooses its epoch, where validation did."""
    name = "A baseline, 10 epochs"
    test = stored_runs().by_epoch(name)
    chosen = stored_runs().by_epoch(name, "validation_by_epoch").argmax(axis=1)
    return test.max(axis=1) - test[np.arange(len(test)), chosen]


def gift(out):
    return out.number(PICKED, r"instead of validation: ([+-][\d.]+)")


def best_on_test(out):
    return out.number(PICKED, r"best on test +([\d.]+)")


def best_of_all(out):
    return out.number(PICKED, r"on test: +([\d.]+)%")


def models(out, by_size=False):
    """Model: accuracy in percent, and billions of operations, or parameters."""
    drawn = COST.findall(out.alt(TRADEOFF))
    half = drawn[15:] if by_size else drawn[:15]
    return {
        name.strip(): (float(accuracy), float(cost.replace(",", "")))
        for name, accuracy, cost in half
    }


def useful(drawn):
    """The models than which none is both as good and as cheap, and one of it more so."""
    return {
        name
        for name, (right, cost) in drawn.items()
        if not any(a >= right and c <= cost and (a, c) != (right, cost) for a, c in drawn.values())
    }


def lines(out):
    """The models on the line by cost, and on that by size."""
    return [each.split(", ") for each in re.findall(r"On the line: ([^.]+)\.", out.alt(TRADEOFF))]


def a_second(name):
    """Billions of operations that a processor core did in a second of training."""
    return training_operations(name) / 1e9 / stored_runs().seconds(name)


def layers(name, kind):
    return sum(isinstance(layer, kind) for layer in build_model(name).modules())


def bits(out):
    """V2's and FastCNN's gain by bfloat16 in points: mean, low, high, runs."""
    words = r"^{} +(\S+) points \[(\S+), (\S+)\] \(n = (\d+)\)"
    return [out.numbers(BITS, words.format(name)) for name in ("V2", "FastCNN")]


def wide(told):
    return told[2] - told[1]


def rerun(out):
    """By how many points each seed of V0, trained anew, differs from the stored run."""
    told = out.numbers(AGAIN, r"^\d +([\d.]+) +([\d.]+)$")
    return [abs(again - stored) for again, stored in zip(told[::2], told[1::2], strict=True)]


def lead_of_the_cnn(name, other="MobileNetV2 head"):
    """Of E's CNN over another model, one of two differences that share the 5 %."""
    return stored_runs().difference(name, other, 1 - 0.05 / 2)


def was_tried(rule):
    """Whether a rule asks the same under other settings, be it of the same runs."""
    return any(getattr(part, "open", ()) for part in getattr(rule, "rules", (rule,)))


def open_directions():
    """The claims with a direction that was asked under other settings, too."""
    rules = {claim.id: getattr(claim.rule, "rules", (claim.rule,)) for claim in CLAIMS}
    return {id for id, all_of in rules.items() for r in all_of if isinstance(r, Beats) and r.open}


LOST = 0.004 * 5 / 6


def one_more_of(name, published):
    """At each rate, from the lowest: low and high of the interval that judges a number of A."""
    rule = Reaches.about(name, published, elsewhere=QMNIST_DIGITS)
    found = [
        rule.interval(stored_runs().of(each)["test_accuracy"])
        for each in (f"{name} 0.0003", name, f"{name} 0.003")
    ]
    return [(interval.low, interval.high) for interval in found]


STATEMENTS = [
    # --- The runs
    Statement(
        "most of them with ten and none with fewer than three",
        lambda out: (
            min(runs_of_claims()) >= 3 and runs_of_claims().count(10) > len(runs_of_claims()) / 2
        ),
    ),
    Statement(
        "`mnistkit scoreboard --rerun` does it again, from the first to the last.",
        lambda out: COMMAND == "mnistkit scoreboard --rerun",
    ),
    Statement(
        "one line for each run, with a checksum, a number that no longer fits if a digit of the "
        "line is changed; reading the table verifies every line",
        lambda out: (
            out.number("print(report.describe(runs))", r"^(\d+) runs")
            == len(TABLE.read_text().splitlines()) - 1
            and changed_digits_are_noticed()
        ),
    ),
    Statement(
        "Ten runs of one recipe (`recipe` is its digest, a short name made of all its settings",
        lambda out: len(out.table(V2)) == 10 and len({*out.table(V2)["recipe"]}) == 1,
    ),
    Statement(
        'None of them is "the" accuracy of V2.',
        lambda out: len({*v2(out)}) > 1,
    ),
    Statement(
        "The published 98.57 % was one such line.",
        lambda out: (
            out.table(BOARD).loc["C3", "published"] == "98.57 %"
            and any(accuracy < 0.9857 for accuracy in v2(out))
            and any(accuracy > 0.9857 for accuracy in v2(out))
        ),
    ),
    # --- A verdict by hand
    Statement(
        "README C's V0 printed 91.94 %.",
        lambda out: out.table(BOARD).loc["C1", "published"] == "91.94 %",
    ),
    Statement(
        "Two intervals can be drawn around our runs",
        lambda out: out.text(HAND).count("[") == 2,
    ),
    Statement(
        "the 95 % *confidence interval* of the mean says where the mean of infinitely many runs "
        "lies. It shrinks with every run that we add;",
        source="Any textbook of statistics: its width goes with 1 / sqrt(n).",
    ),
    Statement(
        "the 95 % *prediction interval* says where one further run would lie. From some ten runs "
        "on it shrinks little, because a single run spreads as single runs do. (With three or four "
        "it is wide, for so few tell little about the spread.)",
        lambda out: (
            0.9 < reach(1000) / reach() < 1
            and reach(1000) / reach(10) > 0.8
            and reach(4) / reach(1000) > 1.7
        ),
    ),
    Statement(
        "the second is m ± t s √(1 + 1/n), with Student's t for n \N{MINUS SIGN} 1 degrees of "
        "freedom",
        lambda out: abs((by_hand(out)[1][2] - by_hand(out)[1][1]) / 2 - reach()) < 0.01,
    ),
    Statement(
        "so narrow, with twenty runs, that the published number lies outside it",
        lambda out: (
            by_hand(out)[0][3] == 20
            and not by_hand(out)[0][1] <= by_hand(out)[0][4] <= by_hand(out)[0][2]
            and not says_inside(out, "mean of all runs")
        ),
    ),
    Statement(
        "a hundred runs would make it narrower still, and in the end no README's number would "
        "ever fit. That interval answers a question that nobody asked.",
        source="Any textbook of statistics: the width goes to 0 as n grows.",
    ),
    Statement(
        "The prediction interval contains 91.94 %: a run like the published one is nothing "
        "unusual here, so C1 is *reproduced*.",
        lambda out: (
            by_hand(out)[1][1] <= by_hand(out)[1][4] <= by_hand(out)[1][2]
            and abs(by_hand(out)[1][4] - 91.94) < 0.005
            and says_inside(out, "one further run")
            and verdicts(out, "C1") == {"reproduced"}
        ),
    ),
    Statement(
        "Here are all the published accuracies at once",
        lambda out: {*rows(out)} == {id for id in out.table(BOARD).index if one_accuracy(id)},
    ),
    Statement(
        "the thin one the prediction interval (for A1 to A4 a little wider, as is said below), and "
        "the upright line is what the README printed.",
        lambda out: all(map(counting_is_added, rows(out).items())),
    ),
    Statement(
        "In six of the ten rows the line crosses the thin bar, and in one of them (E1) the "
        "thick one.",
        lambda out: (
            len(rows(out)) == 10 and len(inside(out)) == 6 and inside(out, thin=False) == {"E1"}
        ),
    ),
    Statement(
        "Of the other four, three published numbers (A1, A4, E3) are lower than a run of ours at "
        "these settings is likely to give, and one (E2) is higher.",
        lambda out: (
            {id for id, r in rows(out).items() if r.published < r.one_low} == {"A1", "A4", "E3"}
            and {id for id, r in rows(out).items() if r.published > r.one_high} == {"E2"}
        ),
    ),
    Statement(
        "With more runs the thick bars would shrink towards a point, and most likely let E1 go as "
        "well.",
        lambda out: rows(out)["E1"].published != rows(out)["E1"].mean,
    ),
    # --- The rule
    Statement(
        "the rule for every published accuracy and loss",
        lambda out: (
            {type(first_rule(c)) for c in CLAIMS if "%" in c.published} == {Reaches}
            and {type(c.rule) for c in CLAIMS if c.published.startswith("0.")} == {HasLoss}
        ),
    ),
    Statement(
        "If our whole interval is better than the published number: *surpassed*. If it is "
        "worse: *not reproduced*.",
        lambda out: all(
            (r.one_low > r.published, r.one_high < r.published)
            == (pair[1] == "surpassed", pair[1] == "not reproduced")
            for r, pair in zip(rows(out).values(), both(out).values(), strict=True)
        ),
    ),
    Statement(
        'Of a published range ("95 to 97 %", "> 98 %") it is enough that a part lies inside.',
        lambda out: (
            claim("B1").rule.verdict([0.96, 0.99]) == "reproduced"
            and claim("B2").rule.verdict([0.97, 0.98]) == "reproduced"
            and [claim(id).published for id in ("B1", "B2")] == ["95-97 %", "> 98 %"]
        ),
    ),
    Statement(
        "READMEs B to E measured on the same 10,000 test digits as we do",
        lambda out: (
            TEST_DIGITS == 10_000
            and not any(getattr(c.rule, "elsewhere", 0) for c in CLAIMS if c.id[0] != "A")
        ),
    ),
    Statement(
        "README A measured on QMNIST's 60,000, of which MNIST's are a sixth.",
        lambda out: QMNIST_DIGITS == 60_000,
    ),
    Statement(
        "so for A1 to A4 we add the variance of the difference between two such counts of a share "
        "p, p (1 \N{MINUS SIGN} p) (1/10,000 \N{MINUS SIGN} 1/60,000)",
        lambda out: all(map(counting_is_added, rows(out).items())),
    ),
    Statement(
        "(At most: what part of it shows on our digits alone is in s already.)",
        source="The variance of an accuracy by a network's own luck on the digits that were read "
        "is part of the variance over runs.",
    ),
    Statement(
        "on QMNIST's 50,000 new test digits MLPs make 0.4 percentage points more errors than on "
        "MNIST's 10,000",
        source="Yadav and Bottou, 2019, arXiv 1905.10498, which the text cites.",
    ),
    Statement(
        "is judged by the 95 % confidence interval of the difference, paired by seed",
        lambda out: (
            "95 % intervals" in out.text("print(report.describe(runs))")
            and "after a difference, of its mean" in out.text("print(report.describe(runs))")
            and differs_as_stored(out, "A5: SGD - Adam, at best rates", "A SGD", "A Adam")
        ),
    ),
    Statement(
        "All of it above zero: reproduced; all of it below: not reproduced; otherwise *undecided*.",
        lambda out: (
            scores(out)["A5: SGD - Adam, at best rates"].low
            < 0
            < scores(out)["A5: SGD - Adam, at best rates"].high
            and verdicts(out, "A5") == {"undecided"}
            and verdicts(out, "C4") == {"reproduced"}
        ),
    ),
    Statement(
        "V1's are not: they lie in heaps, and its interval reaches beyond 100 % (the verdict "
        "of [02_linear_vs_relu](02_linear_vs_relu.ipynb) prints it cut off there).",
        lambda out: (
            rows(out)["C2"].one_high > 100
            and stats.shapiro(stored_runs().of("V1")["test_accuracy"]).pvalue < 0.01
        ),
    ),
    Statement(
        "All that it says there is that 73 % is nothing unusual.",
        lambda out: round(rows(out)["C2"].published) == 73 and "C2" in inside(out),
    ),
    Statement(
        "It is our second rule, made when all runs were there.",
        source="The history of this project.",
    ),
    Statement(
        "The first one gave each published number a tolerance, two standard errors of a share "
        "p counted on 10,000 digits (one is √(p (1 \N{MINUS SIGN} p) / 10,000)), and asked "
        "whether the confidence interval of our mean lies inside.",
        does(
            TESTED,
            "tolerance = 2 * (published * (1 - published) / 10_000) ** 0.5",
            "mean = interval_of_mean(accuracies)",
            "if published - tolerance <= mean.low and mean.high <= published + tolerance:",
        ),
    ),
    Statement(
        "it excuses what READMEs B to E need no excuse for (they measured on the same digits), "
        "and it needed an exception for V1",
        source="The history of this project, and what the text says of the digits above.",
    ),
    Statement("Two things guard against that.", source="An announcement of what follows."),
    Statement(
        "And a rule can be tested on something that has nothing to do with READMEs",
        does(TESTED, "judge_runs(runs)", "own[run.seed], own.drop(run.seed)"),
    ),
    Statement(
        "They *are* runs of one recipe, so a good 95 % rule should find about 95 in 100 "
        "reproduced.",
        source="What 95 % means.",
    ),
    Statement(
        "The prediction interval finds 96 in 100 reproduced, about what a 95 % rule should.",
        lambda out: (
            round(100 * out[BY_PREDICTION]) == 96
            and abs(out.table(TESTED).loc["reproduced", "prediction interval"] - 95) < 2
        ),
    ),
    Statement(
        "The first rule finds little more than half, and cannot decide on a third",
        lambda out: (
            0.5 < out[BY_FIRST] < 0.56
            and 31 < out.table(TESTED).loc["undecided", "first rule"] < 36
        ),
    ),
    Statement(
        "Four of the ten verdicts change, and all of them to *reproduced*: A2 and C3, which the "
        "first rule could not decide, and A3 and C2, which it called surpassed.",
        lambda out: (
            len(both(out)) == 10
            and changed(out)
            == dict.fromkeys(["A2", "C3"], ("undecided", "reproduced"))
            | dict.fromkeys(["A3", "C2"], ("surpassed", "reproduced"))
        ),
    ),
    # --- What the READMEs do not say
    Statement(
        "each run does what it says, but for two things: A's runs have MNIST's digits, and E3's "
        "ImageNet weights were once rounded to 8 bits.",
        lambda out: (
            out.text("print(report.describe(runs))").split()[:4][2:] == ["on", "mnist;"]
            and [recipe(name).epochs for name in ("V2", "D deep", "B CNN")] == [3, 25, 10]
            and recipe("E CNN").normalized
        ),
    ),
    Statement(
        "a third of the default and three times as much (for SGD, 0.03 and 0.1 beside 0.3), and "
        "for E1 to E3 three epochs in place of five",
        lambda out: (
            rates(out, "A1") == rates(out, "A2") == rates(out, "E1") == rates(out, "E2")
            and rates(out, "A1") == {"0.0003", "0.001", "0.003"}
            and rates(out, "A3") == rates(out, "A4") == {"0.03", "0.1", "0.3"}
            and all(epochs(out, id) == {"3", "5"} for id in ("E1", "E2", "E3"))
        ),
    ),
    Statement(
        "None of this chose anything.",
        lambda out: (
            all(
                any("taken here" in words for words in settings(out, id))
                for id in out.table(TRIED).index
            )
            and "at its best rate on validation" in out.table(WHY).loc["A3", "measured"]
        ),
    ),
    Statement(
        "The accuracies A2 and E3 keep one verdict (for E3 only a shorter training was tried). The "
        "other five do not.",
        lambda out: (
            {*out.table(TRIED).index} - hanging(out) == {"A2", "E3"}
            and len(hanging(out)) == 5
            and rates(out, "E3") == {"0.001"}
        ),
    ),
    Statement(
        "But A2 also says that the wider network is *better*. The stored runs bear that out at "
        "our rate and at a third of it, and not at 0.003, where the difference is +0.08 "
        "[\N{MINUS SIGN}0.18, +0.35] points: there it is open, which does not speak against a "
        "lead, but makes the verdict another one.",
        lambda out: (
            "A2" in claims_found(out, "depends on what the README does not say")
            and leads_at("").low > 0
            and leads_at(" 0.0003").low > 0
            and f"{100 * leads_at(' 0.003').mean:+.2f}" == "+0.08"
            and f"{100 * leads_at(' 0.003').low:+.2f}" == "-0.18"
            and f"{100 * leads_at(' 0.003').high:+.2f}" == "+0.35"
        ),
    ),
    Statement(
        "(A1 hangs on the digits as well. If our runs lost on QMNIST's new digits what those MLPs "
        "lose, a third of a point on all 60,000, its number would lie inside our interval at all "
        "three rates. A2's accuracy would be out of reach at the lowest rate.)",
        # Of 60,000 digits 50,000 are new, and cost MLPs 0.4 points (Yadav and Bottou, 2019).
        lambda _: (
            [low < 0.9643 + LOST < high for low, high in one_more_of("A baseline", 0.9643)]
            == [True, True, True]
            and one_more_of("A wide", 0.9724)[0][1] < 0.9724 + LOST
        ),
    ),
    Statement(
        "E5 compares E's CNN with MobileNetV2. At our rate they cannot be told apart; at a third "
        "of it the CNN is better, by +0.34 [+0.05, +0.62] points; at 0.003, with its lost class, "
        "nothing can be told.",
        lambda _: (
            points(lead_of_the_cnn("E CNN 0.0003")) == "+0.34 [+0.05, +0.62] points"
            and all(
                lead_of_the_cnn(name).low < 0 < lead_of_the_cnn(name).high
                for name in ("E CNN", "E CNN 0.003")
            )
        ),
    ),
    Statement(
        "(The head has been trained at one rate only.)",
        lambda _: (
            {*stored_runs().of("MobileNetV2 head")["learning_rate"]} == {0.001}
            and "MobileNetV2 head 0.0003" not in {*stored_runs().frame["name"]}
        ),
    ),
    Statement(
        "At our rate of 0.001 A1's number is surpassed, at a third of it reproduced.",
        lambda out: (
            "rate 0.001 (taken here)" in at(out, "A1", "surpassed")
            and at(out, "A1", "reproduced") == {"rate 0.0003"}
        ),
    ),
    Statement(
        "A3's is reproduced at 0.3 and at 0.1, not at 0.03.",
        lambda out: (
            at(out, "A3", "reproduced") == {"rate 0.3 (taken here)", "rate 0.1"}
            and at(out, "A3", "not reproduced") == {"rate 0.03"}
        ),
    ),
    Statement(
        'A4\'s, the "worst run", is surpassed at 0.3 and not reached at 0.1.',
        lambda out: (
            at(out, "A4", "surpassed") == {"rate 0.3 (taken here)"}
            and "rate 0.1" in at(out, "A4", "not reproduced")
            and "the worst run" in out.table(BOARD).loc["A4", "claim"]
        ),
    ),
    Statement(
        "E1's is missed at the lowest rate only.",
        lambda out: (
            {words.split()[1] for words in at(out, "E1", "not reproduced")} == {"0.0003"}
            and len(at(out, "E1", "reproduced")) == 4
        ),
    ),
    Statement(
        "E2's is the odd one. At 0.001 and below, no interval of this table reaches 98.97 %.",
        lambda out: (
            rates(out, "E2") == {"0.0003", "0.001", "0.003"}
            and all(high < 98.97 for r in ("0.0003", "0.001") for _, high in one_more(out, "E2", r))
        ),
    ),
    Statement(
        "At 0.003 one run of four lost a class ([04_cnn](04_cnn.ipynb) shows which), so single "
        "runs lie nine points apart, and an interval from 79 % to beyond 100 excludes hardly any "
        "number: it holds the published one, but says little for it.",
        lambda out: (
            (stored_runs().misread("E CNN 0.003").sum(axis=1) > 900).tolist()
            == [False, True, False, False]
            and 8.5 < 100 * np.ptp(stored_runs().of("E CNN 0.003")["test_accuracy"]) < 9.5
            and all(
                round(low) == 79 and high > 100 and low < 98.97 < high
                for low, high in one_more(out, "E2", "0.003")
            )
        ),
    ),
    Statement(
        "A6 hangs on no rate. README A does not say what its `NLLLoss` was given. Raw logits? Then "
        "it is far worse, as published, and by mistake. Log-probabilities? Then the two losses are "
        "one.",
        lambda _: (
            stored_runs().difference("A baseline", "A NLL on raw logits").low > 0.5
            and abs(stored_runs().difference("A baseline", "A log-softmax + NLL").mean) < 1e-9
        ),
    ),
    Statement(
        "(Its worst run is said to have 92.77 %, and raw logits give 11.)",
        lambda _: round(100 * stored_runs().accuracy("A NLL on raw logits").mean) == 11,
    ),
    Statement(
        "So A1 to A4, A6, E1, E2 and E5 *depend on what the README does not say*.",
        lambda out: (
            hanging(out) == {"A1", "A3", "A4", "E1", "E2"}
            and claims_found(out, "depends on what the README does not say")
            == {*hanging(out), "A2", "A6", "E5"}
        ),
    ),
    Statement(
        "That is no way out of a verdict: without its learning rate nobody can tell whether such "
        "a number holds.",
        lambda out: all(len(rates(out, id)) > 1 for id in hanging(out)),
    ),
    # --- All 25
    Statement(
        "Nearly half of the claims are reproduced, though not all of these are hard to meet",
        lambda out: 0.45 < out["claims reproduced"] / 25 < 0.5 and len(out.table(BOARD)) == 25,
    ),
    Statement(
        "None of the twelve was tried at another setting; of the nine claims that were, the "
        "verdict of eight changed, of two of them (A2, E5) only between decided and open.",
        lambda out: (
            len(tried := {c.id for c in CLAIMS if c.rule.tried or was_tried(c.rule)}) == 9
            and len(claims_found(out, "reproduced")) == 12
            and not tried & claims_found(out, "reproduced")
            and len(tried & claims_found(out, "depends on what the README does not say")) == 8
        ),
    ),
    Statement(
        "Two numbers are beaten (B1, tried at one setting, and E3, at one rate).",
        lambda out: claims_found(out, "surpassed") == {"B1", "E3"} and out["claims surpassed"] == 2,
    ),
    Statement(
        "None is missed at every setting, but six hang on a learning rate that the README does "
        "not name (A1 to A4, E1, E5), A6 on what its loss was given, and E2 on an interval "
        "that excludes hardly anything: no run of ours reaches its number.",
        lambda out: (
            all(
                stored_runs().by_epoch(name).max() < 0.9897
                for name in ("E CNN", "E CNN 0.0003", "E CNN 0.003")
            )
            and not claims_found(out, "not reproduced")
            and hanging(out) == {"A1", "A3", "A4", "E1", "E2"}
            and out[DEPENDING] == 8
        ),
    ),
    Statement(
        "And three are *undecided* (A5, A7, A8): there a README drew a conclusion from one run "
        "each, or a few,",
        lambda out: claims_found(out, "undecided") == {"A5", "A7", "A8"} and out[UNDECIDED] == 3,
    ),
    Statement(
        "One line each; the reasons are computed from the same runs.",
        lambda out: {*out.table(WHY).index} == {*out.table(BOARD).index},
    ),
    Statement(
        "B1's MLP passes its range within its ten epochs, and the head of E3 passes its number "
        "after a single one",
        lambda out: (
            models(out)["B MLP"][0] > 97
            and "passes 95.89 % after epoch 1 of 5" in out.table(WHY).loc["E3", "why"]
        ),
    ),
    Statement(
        "E2 is the one accuracy above our interval at the settings taken here, and only just "
        "above it.",
        lambda out: (
            [id for id, r in rows(out).items() if r.published > r.one_high] == ["E2"]
            and rows(out)["E2"].published - rows(out)["E2"].one_high < 0.2
        ),
    ),
    Statement(
        "The second softmax seems to cost some tenths of a point ([04_cnn](04_cnn.ipynb) shows "
        "what may be why). Without it the published number lies inside the interval of four runs, "
        "though none of them reaches it. But the interval of so few is wide, and that of the same "
        "four seeds with the softmax holds the number, too, as `why` says.",
        lambda out: (
            (stored_runs().of("E CNN corrected")["test_accuracy"] < 0.9897).tolist() == [True] * 4
            and 0.35 < models(out)["E CNN corrected"][0] - models(out)["E CNN"][0] < 0.65
            and re.search(
                "without its softmax, of 4 runs, [^;]* %, reproduced; with it, of the same seeds, "
                "[^;]* %, reproduced$",
                out.table(WHY).loc["E2", "why"],
            )
            is not None
        ),
    ),
    # --- Directions
    Statement(
        'Claims of the form "this is better than that". Each line is a difference on test, '
        "paired by seed, in percentage points; the first-named is better if the mark lies to the "
        "right.",
        lambda out: (
            differs_as_stored(out, "A2: 256 units - 128", "A wide", "A baseline")
            and "paired by seed" in out.alt(DIRECTIONS)
        ),
    ),
    Statement(
        "The READMEs, with one run each or a few, found all of them to the right.",
        lambda out: pairs(out) == pairs_claimed("A2", "A5", "A7", "A8", "E5"),
    ),
    Statement(
        "all of them hold together at least 19 times in 20: each of k is given the level "
        "1 \N{MINUS SIGN} 0.05 / k",
        does(DIRECTIONS, "level=1 - 0.05 / alike[words[:2]]"),
    ),
    Statement(
        "A filled mark is clear of zero by that interval, and so decided.",
        source="How `mnistkit.charts.plot_intervals` draws.",
    ),
    Statement(
        "a wider layer helps (A2), sigmoid is behind tanh after five epochs (a part of A7), "
        "half of the units dropped are too many for five epochs (a part of A8), and E's CNN "
        "beats E's MLP (a part of E5)",
        lambda out: (
            settled(out)
            == {
                "A2: 256 units - 128",
                "A7: tanh - sigmoid",
                "A8: no dropout - dropout 0.5",
                "E5: E's CNN - E's MLP",
            }
            and all(scores(out)[name].low > 0 for name in settled(out))
            and recipe("A dropout 0.5").epochs == 5
        ),
    ),
    Statement(
        "Open marks are not: whether SGD or Adam is better (A5), which of ReLU, LeakyReLU and "
        "tanh is best, whether a little dropout hurts, and whether E's CNN, with its second "
        "softmax, reads better than a head on MobileNetV2's features.",
        lambda out: (
            {*scores(out)} - settled(out)
            == {
                "A5: SGD - Adam, at best rates",
                "A7: ReLU - LeakyReLU",
                "A7: LeakyReLU - tanh",
                "A8: no dropout - dropout 0.2",
                "E5: E's CNN - MobileNetV2",
            }
        ),
    ),
    Statement(
        "Two runs of A1's network differ by a quarter of a point, on average",
        lambda out: 0.2 < apart(out) < 0.3,
    ),
    Statement(
        "That is more than our estimate of any open difference, so a single pair of runs "
        "tells little.",
        lambda out: (
            apart(out)
            > max(abs(s.mean) for name, s in scores(out).items() if name not in settled(out))
        ),
    ),
    # --- Luck of training, luck of digits
    Statement(
        "Ten runs of one recipe differ, although all are measured on the same 10,000 digits.",
        lambda out: (
            out.table(SPREAD)["standard deviation"].min() > 0
            and len(stored_runs().of("E MLP")) == 10
        ),
    ),
    Statement(
        "accuracies would spread a little even if all ten networks were equally good",
        lambda out: (
            out.table(SPREAD)["by counting alone"].min() > 0
            and out.table(SPREAD)["by counting alone"].max() < 0.5
        ),
    ),
    Statement(
        "Suppose that a die decided, anew in each run and for each digit by itself, whether a "
        "digit that one run in three misreads is misread.",
        source="A thought.",
    ),
    Statement(
        "Only what goes beyond it is a difference between the trained networks that would show "
        "on other digits as well.",
        source="Jordan, 2023, arXiv 2304.01910, which the text cites.",
    ),
    Statement(
        "so can we, since for these recipes the table knows which digits each run misread",
        lambda out: (
            {stored_runs().misread(name).shape[1] for name in out.table(SPREAD).index} == {10_000}
        ),
    ),
    Statement(
        "For V1 counting plays no part: its networks really differ. Most of the spread of the "
        "others is real, too, but for two of them.",
        lambda out: (
            real(out, "V1") > 0.99
            and [n for n in out.table(SPREAD).index if real(out, n) <= 0.5]
            == ["E MLP", "CompactCNN"]
        ),
    ),
    Statement(
        "For E's MLP hardly any is left: ten runs differ about as much as counting alone would "
        "make them.",
        lambda out: (
            real(out, "E MLP") < 0.2
            and 0.8 < np.divide(*out.table(SPREAD).loc["E MLP"].iloc[:2]) < 1.25
        ),
    ),
    Statement(
        "CompactCNN's runs lie *closer* together than counting alone predicts (with ten "
        "runs such an estimate is rough), so no difference between its networks can be "
        "shown, though a small one cannot be excluded by ten runs either",
        lambda out: (
            np.divide(*out.table(SPREAD).loc["CompactCNN"].iloc[:2]) < 1
            and real(out, "CompactCNN") == 0
            and len(stored_runs().of("CompactCNN")) == 10
        ),
    ),
    Statement(
        "√(p (1 \N{MINUS SIGN} p) / 10,000), which is 0.05 percentage points at 99.73 %, and "
        "larger for lower accuracies",
        lambda out: (
            round(100 * (0.9973 * 0.0027 / 10_000) ** 0.5, 2) == 0.05
            and models(out)["CompactCNN"][0] == max(right for right, _ in models(out).values())
            and abs(models(out)["CompactCNN"][0] - 99.73) < 0.006
        ),
    ),
    # --- What is picking on test worth?
    Statement(
        "Some READMEs print the best accuracy that they saw on test while training.",
        source="The READMEs.",
    ),
    Statement(
        "ten runs of A's baseline, ten epochs each, measured on validation *and* on test",
        lambda out: (
            stored_runs().by_epoch("A baseline, 10 epochs").shape == (10, 10)
            and out.number(PICKED, r"the best of all (\d+) on test") == 100
            and recipe("A baseline, 10 epochs").model == "A baseline"
        ),
    ),
    Statement(
        "Report the same runs in three ways: their last epoch; the epoch that was best on "
        "validation, as is right; the epoch that was best on test. Bet on the difference between "
        "the last two.",
        lambda out: (
            re.findall(r"^(.*\w) +[\d.]+ % \[", out.text(PICKED), flags=re.M)
            == ["last epoch", "best on validation", "best on test"]
        ),
    ),
    Statement(
        "Not much for one model and ten epochs that are much alike: by our estimate less than a "
        "tenth of a point, and by its interval at most 0.14.",
        lambda out: (
            0 < gift(out) < 0.1
            and abs(gift(out) - 100 * gifts().mean()) < 0.006
            and round(100 * interval_of_mean(gifts()).high, 2) == 0.14
        ),
    ),
    Statement(
        "for each run it is never negative, since the best on test cannot be worse than any "
        "other choice, and with every further choice that test is allowed to make, the number "
        "that is best on test can only rise",
        lambda out: gifts().min() >= 0 and best_of_all(out) > best_on_test(out),
    ),
    Statement(
        "The last line takes all runs and epochs as candidates",
        lambda out: (
            out.text(PICKED).splitlines()[-1].startswith("the best of all")
            and best_of_all(out)
            == round(100 * stored_runs().by_epoch("A baseline, 10 epochs").max(), 2)
        ),
    ),
    # --- Accuracy, arithmetic and size
    Statement(
        "All models in one picture.",
        lambda out: (
            models(out).keys() == models(out, by_size=True).keys() and len(models(out)) == 15
        ),
    ),
    Statement(
        "Above, what a training run costs in multiplications and additions, counted by "
        "PyTorch; below, how many numbers are learned or carried along.",
        lambda out: (
            out.alt(TRADEOFF).index("billion operations of training: ")
            < out.alt(TRADEOFF).index("parameters: ")
        ),
    ),
    Statement(
        "these runs were made on more than one",
        lambda out: " and " in re.search(r"Measured on (.*?),", out.text("print(report.desc"))[1],
    ),
    Statement(
        "a processor core did up to a hundred and fifty billion operations a second in them, and "
        "less than one billion with a network as small as V0",
        lambda out: (
            all(1 < a_second(name) < 150 for name in models(out) if name in SEVERAL)
            and a_second("V0") < 1
        ),
    ),
    Statement(
        "the step from 98 to 99 % halves them, as does that from 96 to 98 %",
        lambda out: (100 - 99) / (100 - 98) == (100 - 98) / (100 - 96) == 0.5,
    ),
    Statement(
        "MobileNetV2's arithmetic is that of the features of 60,000 digits, once, and of one head.",
        lambda out: (
            abs(
                models(out)["MobileNetV2"][1]
                - (feature_operations(60_000) + training_operations("MobileNetV2 head")) / 1e9
            )
            < 0.6
        ),
    ),
    Statement(
        "`FastCNN`, three small convolutions and one epoch, made to reach 99 % in seconds",
        lambda out: (
            layers("FastCNN", nn.Conv2d) == 3
            and recipe("FastCNN").epochs == 1
            and models(out)["FastCNN"][0] > 99
            and stored_runs().seconds("FastCNN") < 10
        ),
    ),
    Statement(
        "`CompactCNN`, six convolutions and 24 epochs, made for accuracy",
        lambda out: layers("CompactCNN", nn.Conv2d) == 6 and recipe("CompactCNN").epochs == 24,
    ),
    Statement(
        "In both pictures the useful models lie on the line along the upper left edge: nothing is "
        "both better and cheaper.",
        lambda out: all(
            {*line} == useful(models(out, size)) and 1 < len(line) < 15
            for line, size in zip(lines(out), (False, True), strict=True)
        ),
    ),
    Statement(
        "By cost, these are the corrected V1, E's MLP, `FastCNN`, B's CNN and `CompactCNN`.",
        lambda out: (
            useful(models(out)) == {"V1 corrected", "E MLP", "FastCNN", "B CNN", "CompactCNN"}
        ),
    ),
    Statement(
        "`FastCNN` reads 99 % on average after one epoch; three of its ten runs stay just below.",
        lambda out: (
            99 <= models(out)["FastCNN"][0] < 99.2
            and recipe("FastCNN").epochs == 1
            and sum(0.989 < a < 0.99 for a in stored_runs().of("FastCNN")["test_accuracy"]) == 3
            and len(stored_runs().of("FastCNN")) == 10
        ),
    ),
    Statement(
        "B's CNN stands a hair above it, for sixty times the arithmetic, and its four runs cannot "
        "tell the two apart.",
        lambda out: (
            0 < models(out)["B CNN"][0] - models(out)["FastCNN"][0] < 0.06
            and 57 < models(out)["B CNN"][1] / models(out)["FastCNN"][1] < 65
            and len(stored_runs().of("B CNN")) == 4
            and stored_runs().difference("B CNN", "FastCNN").low < 0
        ),
    ),
    Statement(
        "`CompactCNN` makes less than a third of `FastCNN`'s errors, for some 250 times the "
        "arithmetic.",
        lambda out: (
            (100 - models(out)["CompactCNN"][0]) / (100 - models(out)["FastCNN"][0]) < 1 / 3
            and 230 < models(out)["CompactCNN"][1] / models(out)["FastCNN"][1] < 270
        ),
    ),
    Statement(
        "By size only three are left.",
        lambda out: len(useful(models(out, by_size=True))) == 3,
    ),
    Statement(
        "V2 has fewer parameters than the linear V0, and reads more digits than any MLP here but "
        "D's. The other two are `FastCNN` and `CompactCNN`.",
        lambda out: (
            useful(models(out, by_size=True)) == {"V2", "FastCNN", "CompactCNN"}
            and models(out, by_size=True)["V2"][1] < models(out, by_size=True)["V0"][1]
            and {name for name in MLPS if models(out)[name][0] > models(out)["V2"][0]} == {"D deep"}
        ),
    ),
    Statement(
        "MobileNetV2 is by far the largest.",
        lambda out: all(
            models(out, by_size=True)["MobileNetV2"][1] > 2 * size
            for name, (_, size) in models(out, by_size=True).items()
            if name != "MobileNetV2"
        ),
    ),
    Statement(
        "Its features alone cost five times the arithmetic of training E's CNN, and README E "
        "computed them in every epoch.",
        lambda out: (
            4.5 < feature_operations() / 1e9 / models(out)["E CNN"][1] < 5.5
            and "and not each epoch" in out.table(WHY).loc["E5", "why"]
        ),
    ),
    Statement(
        "By accuracy it is in the middle.",
        lambda out: (
            5
            <= sum(right > models(out)["MobileNetV2"][0] for right, _ in models(out).values())
            <= 9
        ),
    ),
    # --- Half of the bits
    Statement(
        "A seed makes a tenth of a point or two.",
        lambda _: all(
            0.08 < 100 * stored_runs().of(name)["test_accuracy"].std() < 0.25
            for name in ("V2", "FastCNN", "V2 in float32", "FastCNN in float32")
        ),
    ),
    Statement(
        "*bfloat16*: 16 bits in place of 32, with the range of float32 and two to three "
        "significant digits",
        lambda out: (
            [torch.finfo(kind).bits for kind in BOTH_KINDS] == [16, 32]
            and np.allclose(*(math.log2(torch.finfo(kind).max) for kind in BOTH_KINDS), atol=0.01)
            and 2 < -math.log10(torch.finfo(torch.bfloat16).eps) < 3
        ),
    ),
    Statement(
        "two networks were trained with the same ten seeds in both ways",
        lambda out: len(bits(out)) == 2 and [n for *_, n in bits(out)] == [10, 10],
    ),
    Statement(
        "Both intervals contain zero, and neither reaches two tenths of a point in either "
        "direction: no loss that ten seeds could show.",
        lambda out: all(-0.2 < low <= 0 <= high < 0.2 for _, low, high, _ in bits(out)),
    ),
    Statement(
        "(It is not proof of none; V2's interval is the wider one, since its differences "
        "spread more.)",
        lambda out: (
            wide(bits(out)[0]) > wide(bits(out)[1])
            and stored_runs().difference("V2", "V2 in float32").deviation
            > stored_runs().difference("FastCNN", "FastCNN in float32").deviation
        ),
    ),
    Statement(
        "with a batch of 32 to 128 digits, so a few decimal places less in each product",
        lambda out: [recipe(name).batch_size for name in ("V2", "FastCNN")] == [32, 128],
    ),
    # --- Do not believe a table: check it
    Statement(
        "A stored result is worth only what a rerun confirms. Train the first seeds of V0 once "
        "more, here, now, and compare with the table.",
        lambda out: len(rerun(out)) == 3,
    ),
    Statement(
        "the numbers should be the same to the last digit; elsewhere they may differ by "
        "hundredths of a point",
        lambda out: max(rerun(out)) < 0.1,
    ),
    Statement(
        "To the last digit, on a machine like the one that made the table. If yours differ by "
        "hundredths, sums were rounded in another order.",
        lambda out: max(rerun(out)) < 0.1,
    ),
    # --- What we saw
    Statement(
        "A published number is treated as one run, so it is judged by the interval of one "
        "further run, not by that of a mean.",
        lambda out: (
            {id for id, pair in both(out).items() if pair[1] == "reproduced"} == inside(out)
        ),
    ),
    Statement(
        "it should call about 95 in 100 of its own runs reproduced",
        source="What 95 % means.",
    ),
    Statement(
        "Several verdicts hang on a learning rate that nobody wrote down.",
        lambda out: out[DEPENDING] >= 3,
    ),
    Statement(
        "Of the conclusions that rest on one run each, or a few, ten runs leave several open.",
        lambda out: (
            out[UNDECIDED] >= 3
            and all(out.table(BOARD).loc[id, "n"] == 10 for id in claims_found(out, "undecided"))
        ),
    ),
    Statement(
        "Choosing on test makes numbers a little too good on average, and never "
        "worse than an honest choice would.",
        lambda out: 0 < out["picking the epoch on test"] < 0.002 and gifts().min() >= 0,
    ),
    Statement(
        "For seven accuracies, and for the directions in A2, A6 and E5, other settings were tried "
        "as well; if one of these would change the verdict, it *depends on what the README does "
        "not say*.",
        lambda out: (
            out.table(TRIED).index.nunique() == 7 and open_directions() == {"A2", "A6", "E5"}
        ),
    ),
    Statement(
        "The other claims are judged at one setting (A8 at two, which must both bear it out), and "
        "might depend on it, too.",
        lambda out: (
            [*find_claims(["A8"])[0].rule.pairs]
            == [("A baseline", "A dropout 0.2"), ("A baseline", "A dropout 0.5")]
        ),
    ),
    Statement(
        "What holds of E5 is this cost and, at our rate and at a third of it, the CNN's lead over "
        "E's MLP.",
        lambda out: (
            lead_of_the_cnn("E CNN", "E MLP").low > 0
            and lead_of_the_cnn("E CNN 0.0003", "E MLP 0.0003").low > 0
            and lead_of_the_cnn("E CNN 0.003", "E MLP 0.003").low < 0
            and feature_operations() > training_operations("E CNN")
        ),
    ),
    Statement(
        "A3 and A4 README A calls its best and its worst run (though its A2 is higher than its "
        "best), so for these it is only a guide.",
        source="README A, whose claims 03_mlp_tuning_qmnist lists at its top.",
    ),
    Statement(
        "A rule that always said *reproduced* would pass it.",
        source="What is asked is the share found reproduced, and nothing else.",
    ),
    Statement(
        "And far more of the runs outside lie below their interval than above, so runs do "
        "not spread evenly to both sides.",
        lambda out: (
            out.table(TESTED).iloc[:, 0].loc["surpassed"]
            > 4 * out.table(TESTED).iloc[:, 0].loc["not reproduced"]
        ),
    ),
    Statement(
        "several rest on the same runs (C1 and C5, C2 and C6, C3 and C7, D1 and D3)",
        lambda out: all(
            {c.id: c.rule.names for c in CLAIMS}[a] == {c.id: c.rule.names for c in CLAIMS}[b]
            for a, b in (("C1", "C5"), ("D1", "D3"))
        ),
    ),
]


def accuracies_drawn_are_the_stored_ones(out):
    drawn = COST.findall(out.alt("plot_tradeoff("))
    near = [
        abs(100 * stored_runs().accuracy(NAMES.get(name.strip(), name.strip())).mean - float(mean))
        < 0.006
        for name, mean, _ in drawn
    ]
    return len(near) == 30 and all(near)


def claims_recorded_are_all_25(out):
    return sum(r.value for r in out.records if r.name.startswith("claims ")) == 25


def runs_repeat(out):
    rows = out.numbers("again = run_grid(", r"^(\d) +([\d.]+) +([\d.]+)$")
    known = 100 * stored_runs().of("V0")["test_accuracy"]
    return rows[::3] == [0, 1, 2] and all(
        abs(again - told) < 1 and abs(told - known.iloc[int(seed)]) < 0.006
        for seed, again, told in zip(rows[::3], rows[1::3], rows[2::3], strict=True)
    )


def runs_are_those_that_come_with_the_library(out):
    cell = "print(report.describe(runs))"
    return bool(out.numbers(cell)) and out.text(cell).strip() == describe(stored_runs())


def two_runs_differ_as_the_stored_ones_do(out):
    accuracies = stored_runs().of("A baseline")["test_accuracy"]
    apart = [abs(a - b) for a, b in combinations(accuracies, 2)]
    told = out.number("pairs = {", r"differ by ([\d.]+) points")
    return abs(told - 100 * sum(apart) / len(apart)) < 0.006


def threads_are_counted_where_there_are_some(out):
    words = r"(\d+) threads?\b"
    return not re.search(words, out.text(AGAIN)) or out.numbers(AGAIN, words)[0] >= 1


def what_picking_gains_is_recorded_as_it_was_printed(out):
    return abs(100 * out["picking the epoch on test"] - gift(out)) <= 0.005


FOLLOWS = [
    what_picking_gains_is_recorded_as_it_was_printed,
    accuracies_drawn_are_the_stored_ones,
    claims_recorded_are_all_25,
    runs_repeat,
    runs_are_those_that_come_with_the_library,
    two_runs_differ_as_the_stored_ones_do,
    threads_are_counted_where_there_are_some,
]
