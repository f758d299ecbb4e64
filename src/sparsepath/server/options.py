"""How a model is served."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from sparsepath.errors import ConfigError
from sparsepath.server.login.options import LoginOptions
from sparsepath.server.review_rules import ReviewRules, check_rules


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeOptions:
    """Where to listen, whom to answer, and how much to hold."""

    host: str = "127.0.0.1"
    """Address to listen on; beyond loopback only with `is_public`."""

    port: int = 8000
    """0 takes a free one."""

    is_public: bool = False
    """Listen beyond loopback; then every request needs a key."""

    allowed_hosts: tuple[str, ...] = ()
    """Names by which requests may call the server, beside its address and loopback."""

    needs_keys: bool = False
    """Demand a key on loopback too."""

    login: LoginOptions | None = None
    """How persons log in to the page; then every request needs a login or a key."""

    batch_texts: int = 32
    """Texts that go through the engine together, at most."""

    batch_wait_ms: float = 1.0
    """Longest wait for more of them while the engine is idle."""

    queue_texts: int = 1024
    """Texts that may wait; beyond, requests are refused with 429."""

    writers: int = 4
    """Texts that a language model writes in turns."""

    queue_writers: int = 64
    """Texts that may wait to be written; beyond, requests are refused with 429."""

    timeout_s: float = 30.0
    """Seconds until an answer is given up with 504."""

    body_timeout_s: float = 10.0
    """Seconds for a request to send its headers, and as many for its body."""

    max_body_bytes: int = 1 << 20
    """Size of a request, at most."""

    max_texts: int = 256
    """Texts of one request, at most."""

    keep_texts: bool = False
    """Keep users' texts beside the audit log, where they can be forgotten."""

    needs_policy: bool = False
    """Steer only as an approved policy allows, also where the model has none."""

    policy_free: str | None = None
    """Name of the model that may be steered while no policy is over it, though others have one."""

    review_below: float | None = None
    """Probability of its label below which a decision waits for a person; None: none waits."""

    review_margin_below: float | None = None
    """Lead of its label over the runner-up below which it waits too, in probability."""

    review_labels: tuple[tuple[str, float], ...] = ()
    """Labels with a probability that counts instead of `review_below`."""

    log_texts: bool = False
    """Write users' texts to the log on standard error."""

    runs: Path | None = None
    """Folder whose runs and catalogues the page may show; None: those of the model alone."""

    anchor: Path | None = None
    """File that gets the audit log's newest hash, every minute and at the end."""

    strict_model: bool = False
    """Give no answers while the model's folder holds something else than what was loaded."""

    drift_window: int = 500
    """Answers that are compared with the PoC at a time."""
    store: Path = Path("sparsepath-store")
    """Folder of the tables, logs and run folders of jobs; made when the first one comes."""

    jobs: int = 1
    """Jobs that run at the same time; others wait."""

    max_upload_mb: int = 64
    """Size of a table that is sent, at most, in 10^6 bytes."""

    @property
    def review(self) -> ReviewRules:
        """Which decisions wait for a person."""
        return ReviewRules(self.review_below, self.review_margin_below, dict(self.review_labels))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def demands_keys(self) -> bool:
        """Whether requests without a key are refused."""
        return self.needs_keys or self.login is not None or not self.is_loopback

    @property
    def hosts(self) -> frozenset[str]:
        """Every name by which a request may call the server, in lower case."""
        names = {"localhost", "127.0.0.1", "::1", *self.allowed_hosts}
        if self.host not in {"0.0.0.0", "::"}:
            names.add(self.host)
        if self.login is not None and self.login.host is not None:
            names.add(self.login.host)
        return frozenset(name.lower() for name in names)

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: if one is out of range, or the server would be open to a network by
                mistake.
        """
        if not self.is_loopback and not self.is_public:
            raise ConfigError(
                f"{self.host} can be reached from other machines",
                hint="stay on 127.0.0.1, or add --public, which demands an API key of every "
                "request (sparsepath keys add), and put TLS in front",
            )
        if self.login is not None and not self.is_loopback and not self.login.is_secure:
            raise ConfigError(
                f"people would log in at {self.host} without TLS",
                hint="put TLS in front and say what browsers call the page: "
                "--page-url https://NAME",
            )
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port {self.port}", hint="choose 0 to 65535")
        least = {
            "batch_texts": 1,
            "queue_texts": 1,
            "max_texts": 1,
            "max_body_bytes": 1024,
            "writers": 1,
            "queue_writers": 1,
            "drift_window": 50,
            "jobs": 1,
            "max_upload_mb": 1,
        }
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name} = {getattr(self, name)}", hint=f"use at least {lowest}")
        check_rules(self.review, self.review_labels)
        if self.batch_wait_ms < 0 or self.timeout_s <= 0 or self.body_timeout_s <= 0:
            raise ConfigError("a time below zero", hint="give positive milliseconds and seconds")


def check_effect(options: ServeOptions, *, is_classifier: bool, is_steerable: bool) -> None:
    """See that no option says nothing about the model that is served.

    Raises:
        ConfigError: if one does.
    """
    if not is_steerable and (options.needs_policy or options.policy_free is not None):
        option = "--needs-policy" if options.needs_policy else "--policy-free"
        raise ConfigError(
            f"{option}, but this classifier cannot be steered", hint=f"leave {option} out"
        )
    if not is_classifier and options.review.is_set:
        option = options.review.option
        raise ConfigError(
            f"{option}, but a language model makes no decisions", hint=f"leave {option} out"
        )


def check_policy_free(options: ServeOptions, name: str) -> bool:
    """Say whether a model may be steered while no policy is over it.

    Raises:
        ConfigError: if that was said of another model, or against --needs-policy.
    """
    if options.policy_free is None:
        return False
    if options.needs_policy:
        raise ConfigError(
            "--policy-free and --needs-policy contradict each other", hint="leave one out"
        )
    if options.policy_free != name:
        raise ConfigError(
            f"--policy-free {options.policy_free[:80]}, but {name} is served",
            hint=f"--policy-free {name}, if it is to be steered without a policy",
        )
    return True
