"""The claims of the five published READMEs, what each rests on, and the verdict on each.

How a verdict follows from runs is said in `rules`; which runs there are, in `plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf

from mnistkit.errors import suggestion, unknown_name
from mnistkit.models import build_model, count_parameters
from mnistkit.study.plan import OPEN_RATES, OPEN_SGD, feature_operations, training_operations
from mnistkit.study.rules import (
    QMNIST_DIGITS,
    UNDECIDED,
    AllOf,
    Beats,
    Cheaper,
    Counts,
    HasLoss,
    NeverBelow,
    Reaches,
    Rule,
    Setting,
    further_run,
    points,
    spread,
)
from mnistkit.study.table import Runs


@dataclass(frozen=True)
class Claim:
    """One published sentence that can be tested.

    id: the README's letter and a number. published: the number as printed, or "direction".
    measured: how it is put to the test. rule: how the verdict follows. explain: from the
    runs, one line that says why; needs: experiments that only the explanation uses.
    """

    id: str
    statement: str
    published: str
    measured: str
    rule: Rule
    explain: Callable[[Runs], str]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What became of a claim. here: what was measured; n: runs of each experiment."""

    claim: Claim
    verdict: str
    here: str
    n: int
    data: str
    why: str


def judge(claim: Claim, runs: Runs, planned: Mapping[str, int]) -> Finding:
    """Give the verdict on a claim.

    planned: how many runs each experiment must have. With fewer, or on the sample, or where
    one diverged, the verdict is undecided, and `why` says so.
    """
    names = claim.rule.names
    for name in (*names, *claim.rule.tried, *claim.needs):
        if name not in planned:
            near = suggestion(name, planned)
            why = f"no entry of the plan is called {name!r}{near}"
            return Finding(claim, UNDECIDED, "-", 0, "", why)
    n = min((len(runs.of(name)) for name in names if planned[name] > 1), default=0)
    data = runs.source(names)
    if short := _short((*names, *claim.rule.tried), runs, planned):
        return Finding(claim, UNDECIDED, "-", n, data, short)
    verdict, here = claim.rule.judge(runs)
    if data.startswith("sample"):
        return Finding(claim, UNDECIDED, here, n, data, "needs full MNIST")
    why = _short(claim.needs, runs, planned) or claim.explain(runs)
    return Finding(claim, verdict, here, n, data, why)


def _short(names: Sequence[str], runs: Runs, planned: Mapping[str, int]) -> str:
    """Name the first experiment that lacks runs, or of which one diverged, or nothing."""
    for name in names:
        found = runs.of(name)
        if len(found) < planned[name]:
            return f"{len(found)} of {planned[name]} runs of {name} are there"
        diverged = int((found["failure"] != "").sum()) if "failure" in found else 0
        if diverged:
            return f"{diverged} of {planned[name]} runs of {name} diverged"
    return ""


def find_claims(ids: Sequence[str]) -> list[Claim]:
    """Return claims by id, in the order given. Raises UnknownNameError for an unknown one."""
    known = {claim.id: claim for claim in CLAIMS}
    for name in ids:
        if name not in known:
            raise unknown_name("claim", name, known)
    return [known[name] for name in ids]


# --- what READMEs leave open ----------------------------------------------------------------


def _rates(name: str, rates: Sequence[float], suffix: str = "") -> list[Setting]:
    """The same recipe at other learning rates."""
    return [Setting(f"{name} {rate:g}{suffix}", f"rate {rate:g}") for rate in rates]


def _rates_and_epochs(name: str, rates: Sequence[float] = ()) -> list[Setting]:
    """At several rates, after three epochs and after five; but for what was taken."""
    names = {"0.001": name} | {f"{rate:g}": f"{name} {rate:g}" for rate in rates}
    return [
        Setting(found, f"rate {rate} for {count} epochs", count)
        for rate, found in names.items()
        for count in (3, 5)
        if (found, count) != (name, 5)
    ]


def _under_settings(rule: Reaches) -> Callable[[Runs], str]:
    """The verdict under each setting, those with the same verdict together."""

    def explain(runs: Runs) -> str:
        by_verdict = sorted(rule.by_setting(runs), key=lambda pair: pair[1])
        return "; ".join(
            f"{verdict} at {_listed([setting.words for setting, _ in pairs])}"
            for verdict, pairs in groupby(by_verdict, key=lambda pair: pair[1])
        )

    return explain


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


# --- why: each line is computed from runs ---------------------------------------------------


def _passes(name: str, published: float) -> Callable[[Runs], str]:
    """After which epoch the mean passes the published number."""

    def explain(runs: Runs) -> str:
        means = runs.by_epoch(name).mean(axis=0)
        reached = (means >= published).nonzero()[0]
        if len(reached) == 0:
            return f"in {len(means)} epochs its mean comes to {100 * means.max():.2f} % at most"
        return f"its mean passes {100 * published:g} % after epoch {reached[0] + 1} of {len(means)}"

    return explain


def _wider(runs: Runs) -> str:
    """The accuracy under each setting, and the lead at the other rates."""
    leads = [
        f"at {rate:g} {points(runs.difference(f'A wide {rate:g}', f'A baseline {rate:g}'))}"
        for rate in OPEN_RATES
    ]
    return f"the accuracy is {_under_settings(_A2)(runs)}; the lead is {_listed(leads)}"


def _optimizers(runs: Runs) -> str:
    rates = (runs.rate(name) for name in ("A SGD", "A Adam"))
    return "SGD at {:g}, Adam at {:g}, each chosen on validation".format(*rates)


def _losses(runs: Runs) -> str:
    same = points(runs.difference("A baseline", "A log-softmax + NLL"))
    return (
        f"NLLLoss on raw logits is a bug; after log-softmax the difference is {same}; which of the "
        "two it was is not said"
    )


def _activations(runs: Runs) -> str:
    names = {"leaky_relu": "LeakyReLU", "tanh": "tanh", "sigmoid": "sigmoid"}
    means = {n: runs.accuracy(f"A {key}").mean for key, n in names.items()}
    means["ReLU"] = runs.accuracy("A baseline").mean
    order = sorted(means, key=means.get, reverse=True)
    return "by their means: " + " > ".join(f"{n} {100 * means[n]:.2f}" for n in order)


def _dropout(runs: Runs) -> str:
    last = runs.by_epoch("A dropout 0.2").shape[1]
    return f"with dropout 0.2 and 0.5, after {last} epochs"


def _lottery(runs: Runs) -> str:
    values = 100 * runs.of("V1")["test_accuracy"]
    fixed = spread(runs.accuracy("V1 corrected"))
    return (
        f"one draw of a wide spread, {values.min():.0f} to {values.max():.0f} %; "
        f"without the ReLU on the logits {fixed}"
    )


def _runs_of(name: str) -> Callable[[Runs], str]:
    def explain(runs: Runs) -> str:
        values = 100 * runs.of(name)["test_accuracy"]
        return f"single runs from {values.min():.2f} to {values.max():.2f} %"

    return explain


def _losses_of(name: str) -> Callable[[Runs], str]:
    def explain(runs: Runs) -> str:
        values = runs.of(name)["test_loss"]
        return f"single runs from {values.min():.3f} to {values.max():.3f}"

    return explain


def _relu_on_logits(runs: Runs) -> str:
    gain = points(runs.difference("V1 corrected", "V0"))
    return f"it is the ReLU on the logits: without it V1 gains {gain} on V0"


def _first_epoch(name: str) -> Callable[[Runs], str]:
    def explain(runs: Runs) -> str:
        scores = runs.by_epoch(name)
        first = f"after one epoch the worst run has {100 * scores[:, 0].min():.2f} %"
        return f"{first}; {scores.shape[1]} epochs here"

    return explain


def _softmax(runs: Runs) -> str:
    """The verdict under each setting; and with and without the softmax, of as many runs."""
    without, as_published = runs.of("E CNN corrected"), runs.of("E CNN")
    same = as_published[as_published["seed"].isin(without["seed"])]
    fixed, kept = (
        f"{further_run(_E2.interval(values))}, {_E2.verdict(values)}"
        for values in (without["test_accuracy"], same["test_accuracy"])
    )
    return (
        f"{_under_settings(_E2)(runs)}; without its softmax, of {len(without)} runs, {fixed}; "
        f"with it, of the same seeds, {kept}"
    )


def _mobilenet(runs: Runs) -> str:
    return f"{_passes('MobileNetV2 head', 0.9589)(runs)}; {runs.weights()}"


def _head(_: Runs) -> str:
    return f"with its 1,000 classes; with 10 it has {_mobilenet_size(10):,}"


def _worth_its_time(runs: Runs) -> str:
    """The leads at the other rates of CNN and MLP; the head has one."""
    leads = [
        f"at {rate:g} {' and '.join(map(points, Beats(pairs).differences(runs)))}"
        for rate, pairs in zip(OPEN_RATES, _E5_LEADS.open, strict=True)
    ]
    return (
        "over E's MLP, and over MobileNetV2, whose features are computed once and not each "
        f"epoch; {_listed(leads)}"
    )


def _nothing(_: Runs) -> str:
    return ""


def _mobilenet_size(classes: int) -> int:
    return count_parameters(build_model("MobileNetV2", seed=0, classes=classes))


def _deep_size() -> int:
    return count_parameters(build_model("D deep", seed=0))


_ADAM = "5 epochs, Adam 0.001, batches of 64"
_COURSE = "3 epochs, SGD 0.1, batches of 32"

_A1 = Reaches.about(
    "A baseline", 0.9643, elsewhere=QMNIST_DIGITS, open=_rates("A baseline", OPEN_RATES)
)
_A2 = Reaches.about("A wide", 0.9724, elsewhere=QMNIST_DIGITS, open=_rates("A wide", OPEN_RATES))
_A2_LEAD = Beats(
    (("A wide", "A baseline"),),
    open=tuple(((f"A wide {rate:g}", f"A baseline {rate:g}"),) for rate in OPEN_RATES),
)
_A3 = Reaches.about("A SGD", 0.9670, elsewhere=QMNIST_DIGITS, open=_rates("A SGD", OPEN_SGD))
_A4 = Reaches.about(
    "A SGD sigmoid", 0.9277, elsewhere=QMNIST_DIGITS, open=_rates("A SGD", OPEN_SGD, " sigmoid")
)
_E1 = Reaches.about("E MLP", 0.9744, open=_rates_and_epochs("E MLP", OPEN_RATES))
_E2 = Reaches.about("E CNN", 0.9897, open=_rates_and_epochs("E CNN", OPEN_RATES))
_E5_LEADS = Beats(
    (("E CNN", "E MLP"), ("E CNN", "MobileNetV2 head")),
    open=tuple(
        ((f"E CNN {rate:g}", f"E MLP {rate:g}"), (f"E CNN {rate:g}", "MobileNetV2 head"))
        for rate in OPEN_RATES
    ),
)
_E3 = Reaches.about("MobileNetV2 head", 0.9589, open=_rates_and_epochs("MobileNetV2 head"))


def _cnn_operations() -> float:
    return training_operations("E CNN")


def _mobilenet_operations() -> float:
    return feature_operations() + training_operations("MobileNetV2 head")


CLAIMS = (
    Claim("A1", "784-128-64-10 with ReLU reaches 96.43 %", "96.43 %", f"one run; {_ADAM}",
          _A1, _under_settings(_A1)),
    Claim("A2", "784-256-64-10 is better, with 97.24 %", "97.24 %",
          f"one run, and paired difference; {_ADAM}",
          AllOf((_A2, _A2_LEAD)), _wider),
    Claim("A3", "the best run, SGD with ReLU, reaches 96.70 %", "96.70 %",
          "one run; 5 epochs, SGD at its best rate on validation", _A3, _under_settings(_A3)),
    Claim("A4", "the worst run, SGD with sigmoid, reaches 92.77 %", "92.77 %",
          "one run; 5 epochs, SGD at A3's rate", _A4, _under_settings(_A4)),
    Claim("A5", "SGD beats Adam", "direction", "paired difference; 5 epochs, each at its best rate",
          Beats((("A SGD", "A Adam"),)), _optimizers),
    Claim("A6", "cross-entropy on logits beats NLLLoss", "direction", f"paired difference; {_ADAM}",
          Beats((("A baseline", "A NLL on raw logits"),),
                open=((("A baseline", "A log-softmax + NLL"),),)), _losses),
    Claim("A7", "ReLU > LeakyReLU > tanh > sigmoid", "order", f"three paired differences; {_ADAM}",
          Beats((("A baseline", "A leaky_relu"), ("A leaky_relu", "A tanh"),
                 ("A tanh", "A sigmoid"))), _activations),
    Claim("A8", "no dropout beats dropout", "direction", f"two paired differences; {_ADAM}",
          Beats((("A baseline", "A dropout 0.2"), ("A baseline", "A dropout 0.5"))), _dropout),
    Claim("B1", "a simple MLP reaches 95 to 97 %", "95-97 %",
          "one run; 10 epochs, Adam 0.001, dropout 0.2",
          Reaches("B MLP", 0.95, 0.97), _first_epoch("B MLP")),
    Claim("B2", "a CNN exceeds 98 %", "> 98 %", "one run; 10 epochs, Adam 0.001",
          Reaches("B CNN", 0.98, inf), _first_epoch("B CNN")),
    Claim("C1", "V0 reaches 91.94 %", "91.94 %", f"one run; {_COURSE}",
          Reaches.about("V0", 0.9194), _runs_of("V0")),
    Claim("C2", "V1 reaches 73.27 %", "73.27 %", f"one run; {_COURSE}",
          Reaches.about("V1", 0.7327), _lottery,
          ("V1 corrected",)),
    Claim("C3", "V2 reaches 98.57 %", "98.57 %", f"one run; {_COURSE}",
          Reaches.about("V2", 0.9857), _runs_of("V2")),
    Claim("C4", "V1 is worse than V0", "direction", f"paired difference; {_COURSE}",
          Beats((("V0", "V1"),)), _relu_on_logits,
          ("V1 corrected",)),
    Claim("C5", "V0's loss on test is 0.2867", "0.2867", f"one run; {_COURSE}",
          HasLoss("V0", 0.2867), _losses_of("V0")),
    Claim("C6", "V1's loss on test is 0.9604", "0.9604", f"one run; {_COURSE}",
          HasLoss("V1", 0.9604), _losses_of("V1")),
    Claim("C7", "V2's loss on test is 0.0461", "0.0461", f"one run; {_COURSE}",
          HasLoss("V2", 0.0461), _losses_of("V2")),
    Claim("D1", "the deep MLP exceeds 90 %", "> 90 %",
          "one run; 25 epochs, all of its regularisation",
          Reaches("D deep", 0.90, inf), _first_epoch("D deep")),
    Claim("D2", "it has about 500,000 parameters or more", ">= 500,000", "counted",
          Counts(_deep_size, 500_000, inf), _nothing),
    Claim("D3", "a larger network is not needed", "implied",
          "would hardly a run stay below 90 %? 25 epochs",
          NeverBelow("D deep", 0.90), _first_epoch("D deep")),
    Claim("E1", "an MLP with 100 hidden units reaches 97.44 %", "97.44 %",
          f"one run; normalised, {_ADAM}", _E1, _under_settings(_E1)),
    Claim("E2", "the CNN reaches 98.97 %", "98.97 %", f"one run; normalised, {_ADAM}",
          _E2, _softmax,
          ("E CNN corrected",)),
    Claim("E3", "the frozen MobileNetV2 reaches 95.89 %", "95.89 %",
          "one run; 5 epochs of the head, on stored features", _E3, _mobilenet),
    Claim("E4", "MobileNetV2 has about 3.5 million parameters", "3.5 M", "counted, to 0.05 M",
          Counts(lambda: _mobilenet_size(1000), 3.45e6, 3.55e6), _head),
    Claim("E5", "MobileNetV2 is slow and worse; the CNN is best", "direction",
          "two paired differences, and arithmetic of training",
          AllOf((_E5_LEADS, Cheaper(_cnn_operations, _mobilenet_operations))),
          _worth_its_time),
)  # fmt: skip
