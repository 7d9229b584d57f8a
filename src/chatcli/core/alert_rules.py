"""The rules of alerts: which figure of recent calls is out of bounds, and what is to be done then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.statistics import Figures


class Metric(NamedTuple):
    """A figure that a rule may watch.

    ``value`` is ``None`` where nothing is known, ``sample`` counts the calls that it is made of. ``minimum_calls`` is the
    number a rule wants unless it says otherwise: a share of two calls means little, while a sum is what it is.
    """

    value: Callable[[Figures], float | None]
    sample: Callable[[Figures], int]
    minimum_calls: int = 0


def _ended(figures: Figures) -> int:
    return figures.calls - figures.cancelled


METRICS: Final = {
    "success_rate": Metric(lambda figures: figures.success_rate, _ended, 5),
    "p95_latency_s": Metric(
        lambda figures: figures.latency and figures.latency.p95_s, lambda figures: figures.succeeded, 5
    ),
    "p95_ttft_s": Metric(
        lambda figures: figures.ttft and figures.ttft.p95_s, lambda figures: figures.succeeded, 5
    ),
    "error_count": Metric(lambda figures: sum(figures.errors.values()), _ended),
    "cost_usd": Metric(lambda figures: figures.cost_usd, lambda figures: figures.calls),
    "tokens": Metric(
        lambda figures: figures.input_tokens + figures.output_tokens, lambda figures: figures.calls
    ),
    "rate_limited_count": Metric(lambda figures: figures.errors.get("rate_limited", 0), _ended),
}

SUCCESS_RATE: Final = "success_rate"
TOOLBAR: Final = "toolbar"
BELL: Final = "bell"
DESKTOP: Final = "desktop"
FIRING: Final = "firing"
RECOVERED: Final = "recovered"


@frozen
class AlertRule:
    """A rule.

    It fires once its metric, over the calls of the last ``window_s``, is beyond ``threshold``: below it for the success
    rate, above it for all others. It recovers once the metric is back at ``recover`` or better. ``model`` and ``endpoint``
    select the calls that count, ``None`` for all.

    ``notify`` says where the person is told, ``command`` is a program with its arguments, ``webhook`` an address.
    """

    name: str
    metric: str
    window_s: float
    threshold: float
    recover: float
    minimum_calls: int
    model: str | None = None
    endpoint: str | None = None
    notify: tuple[str, ...] = (TOOLBAR,)
    command: tuple[str, ...] = ()
    webhook: str | None = None

    @property
    def is_about_low_values(self) -> bool:
        return self.metric == SUCCESS_RATE

    @property
    def is_shown(self) -> bool:
        """Whether the person sees it: as a line, and in the toolbar."""
        return TOOLBAR in self.notify

    @property
    def key(self) -> str:
        """What the state of the rule is kept under: its condition. Another name or action does not begin it anew."""
        numbers = (self.window_s, self.threshold, self.recover, self.minimum_calls)
        bounds = " ".join(f"{number:.12g}" for number in numbers)
        return f"{self.metric} {bounds} {self.model or '*'} {self.endpoint or '*'}"

    def value(self, figures: Figures) -> float | None:
        """Return the value of the metric, ``None`` if there are too few calls to tell."""
        metric = METRICS[self.metric]
        return metric.value(figures) if metric.sample(figures) >= self.minimum_calls else None

    def sample(self, figures: Figures) -> int:
        """Return the number of calls that the value is made of."""
        return METRICS[self.metric].sample(figures)

    def is_crossed_by(self, value: float) -> bool:
        return value < self.threshold if self.is_about_low_values else value > self.threshold

    def is_recovered_at(self, value: float) -> bool:
        return value >= self.recover if self.is_about_low_values else value <= self.recover


def usual_recovery(metric: str, threshold: float) -> float:
    """Return where a rule recovers unless it says otherwise.

    Half of the way from the threshold to full success, or a fifth below it: a value that swings around the threshold
    fires once.
    """
    return (threshold + 1) / 2 if metric == SUCCESS_RATE else threshold * 0.8


DEFAULT_RULES: Final = (
    AlertRule("success", SUCCESS_RATE, window_s=900, threshold=0.9, recover=0.95, minimum_calls=5),
    AlertRule("first-token", "p95_ttft_s", window_s=900, threshold=20, recover=16, minimum_calls=5),
)
"""The rules of a person who wrote none."""
