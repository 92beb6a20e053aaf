"""Fits on a Ray cluster: Ray Data tokenises, Ray Train's workers train, and this process reads, counts and writes.

The workers form a torch.distributed process group and share one fit, like the processes of torchrun. They read the
counts from the folder of the unfinished run and write checkpoints to it, so every machine must see it at the same path.
If a worker is lost, Ray Train restarts all of them; they resume from the last checkpoint and give bitwise the same
result.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from topicnet import errors
from topicnet.errors import InputError, OutputError, ParallelError, TopicnetError
from topicnet.models import TopicModel
from topicnet.runtime.distributed import distributed
from topicnet.runtime.extras import message_of
from topicnet.runtime.interrupt import deferred_interrupt, pressed_elsewhere
from topicnet.runtime.reporter import Reporter
from topicnet.storage import atomic
from topicnet.text.corpus import Corpus
from topicnet.training.progress import Progress
from topicnet.workflows.bundle import Bundle, load_bundle, save_bundle
from topicnet.workflows.engine import Engine, ModelPlan, learn_tuned

MAX_RESTARTS = 10
POLL_SECONDS = 0.5
PLACEMENT_SECONDS = 60.0  # a notice is printed if no worker has started by then
LOCK_SECONDS = 120.0  # how long the lock of a lost machine may remain on a network disk
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no usage statistics are sent
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextlib.contextmanager
def ray_engine(device: str, workers: int | None) -> Iterator[Engine]:
    """Connect to the cluster at RAY_ADDRESS, or start one on this machine for the duration of the context.

    Raises
    ------
    InputError
        Ray is not installed, no cluster runs at RAY_ADDRESS, or it has fewer CPUs or GPUs than `workers`.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
        import ray.train.torch
    except ImportError as error:
        raise InputError(message_of("--engine ray", "ray")) from error
    from topicnet.text.tokenize_on_ray import tokenize_on_ray

    already_connected = ray.is_initialized()
    if not already_connected:
        _connect()
    for library in ("ray", "ray.data", "ray.train"):  # failures are raised as exceptions, so logs add nothing
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        n_workers, with_gpu = _workers(device, workers)
        yield Engine(tokenize_on_ray, _Learning(n_workers, with_gpu), n_workers)
    finally:
        if not already_connected:
            ray.shutdown()


def _connect() -> None:
    import ray

    passed = {name: value for name, value in os.environ.items() if name.startswith("TOPICNET_")}
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "runtime_env": {"env_vars": {**passed, "POLARS_MAX_THREADS": "1"}},
    }
    address = os.environ.get("RAY_ADDRESS")
    if not address:  # start a cluster, even if one happens to run on this machine
        options |= {"address": "local", "include_dashboard": False}
    ours = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        no_cluster = (
            f"no Ray cluster at RAY_ADDRESS={address!r} ({reason}): start one with `ray start --head`, or unset it"
        )
        no_start = f"Ray cannot start on this machine ({reason}): fit without --engine ray"
        raise InputError(no_cluster if address else no_start) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ours)  # Ray has replaced the handler


def _workers(device: str, workers: int | None) -> tuple[int, bool]:
    """Return the number of workers, and whether each has a GPU."""
    import ray

    have = ray.cluster_resources()
    with_gpu = device != "cpu" and have.get("GPU", 0) >= 1
    most = int(have.get("GPU" if with_gpu else "CPU", 0))
    n_workers = most if workers is None else workers
    if not 1 <= n_workers <= most:
        kind = "GPU" if with_gpu else "CPU"
        raise InputError(
            f"--workers {n_workers} given, but the cluster has {most} {kind}s, one for each worker: give fewer workers"
            " or add machines"
        )
    return n_workers, with_gpu


@dataclass(frozen=True)
class _Learning:
    """Replacement for `learn` that fits in the workers of Ray Train."""

    n_workers: int
    with_gpu: bool

    def __call__(
        self, plan: ModelPlan, model: TopicModel, corpus: Corpus, checkpoints: Path | None, reporter: Reporter
    ) -> bool:
        import ray

        assert checkpoints is not None
        place = checkpoints.absolute()
        place.mkdir(parents=True, exist_ok=True)
        for name in ("fitted", "ray", "counts"):  # left by a process that was killed
            atomic.remove_staged(place / name)
        mailbox = ray.remote(num_cpus=0, scheduling_strategy=_this_machine())(_Mailbox).remote()
        task = {
            "plan": asdict(plan), "counts": str(_on_disk(corpus, place)), "checkpoints": str(place),
            "fitted": str(place / "fitted"), "folder": str(Path.cwd()), "mailbox": mailbox,
        }  # fmt: skip
        ended: list[BaseException | None] = []

        def run() -> None:
            try:
                _train_on_ray(task, self.n_workers, self.with_gpu, place / "ray")
                ended.append(None)
            except BaseException as error:  # raised in the main thread below
                ended.append(error)

        with deferred_interrupt() as pressed:
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            try:
                answer = _listen(thread, mailbox, pressed, reporter)
            except ray.exceptions.RayError as error:
                raise ParallelError(
                    f"the cluster was lost ({_first_line(error)}): start it again, and continue with --resume"
                ) from error
        failure = ended[0] if ended else None
        if "error" in answer:
            raise getattr(errors, answer["kind"], TopicnetError)(answer["error"])
        if failure is not None or "device" not in answer:
            raise ParallelError(
                f"the workers were lost {MAX_RESTARTS + 1} times ({_first_line(failure)}): see the logs of Ray, and"
                " continue with --resume"
            ) from failure
        # Copy the state of the estimator that the workers fitted into the one of this process.
        model.__dict__.update(vars(load_bundle(place / "fitted").model) | {"device_": answer["device"]})
        for name in ("fitted", "ray", "counts"):
            atomic.remove_staged(place / name)
        return bool(answer["interrupted"])


class _Mailbox:
    """Ray actor that carries messages from the workers to the driver, and the driver's request to stop."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.stop = False

    def send(self, message: Any) -> None:
        self.messages.append(message)

    def exchange(self, stop: bool) -> list[Any]:
        """Set the request to stop, and return the messages since the last call."""
        self.stop = stop
        messages, self.messages = self.messages, []
        return messages

    def stopped(self) -> bool:
        return self.stop


def _listen(thread: threading.Thread, mailbox: Any, pressed: Callable[[], bool], reporter: Reporter) -> dict[str, Any]:
    """Report the messages of the workers until they are done or one has failed; return their result."""
    import ray

    answer: dict[str, Any] = {}
    starts, began, warned = 0, time.monotonic(), False
    while True:
        thread.join(POLL_SECONDS)
        done = not thread.is_alive()
        for message in ray.get(mailbox.exchange.remote(pressed())):
            if isinstance(message, dict):
                answer = message
            elif isinstance(message, Progress):
                if reporter.listener is not None:
                    reporter.listener(message)
            elif message is None:
                starts += 1
                if starts > 1:
                    reporter.notice("a worker was lost: all workers resume from the last checkpoint")
            else:
                reporter.notice(message)
        if done or "error" in answer:
            return answer
        if starts == 0 and pressed():
            raise KeyboardInterrupt
        if starts == 0 and not warned and time.monotonic() > began + PLACEMENT_SECONDS:
            warned = True
            reporter.notice(
                "the workers have not started yet: the CPUs or GPUs of the cluster may be busy with other jobs"
            )


def _train_on_ray(task: dict[str, Any], n_workers: int, with_gpu: bool, place: Path) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    TorchTrainer(
        _work,
        train_loop_config=task,
        scaling_config=ScalingConfig(num_workers=n_workers, use_gpu=with_gpu),
        run_config=RunConfig(
            storage_path=str(place),
            failure_config=FailureConfig(max_failures=MAX_RESTARTS, controller_failure_limit=MAX_RESTARTS),
        ),
    ).fit()


def _work(task: dict[str, Any]) -> None:
    """Run the training loop of one worker, in its own process."""
    import ray

    with contextlib.suppress(OSError):  # the path of the word vectors may be relative to this folder
        os.chdir(task["folder"])
    mailbox, pressed = task["mailbox"], threading.Event()
    try:
        with distributed() as world, pressed_elsewhere(pressed):
            _learn_here(task, world is None or world.is_rank_zero, pressed)
    except ParallelError:  # another worker was lost: Ray Train restarts all of them
        raise
    except TopicnetError as error:  # a restart would fail in the same way
        ray.get(mailbox.send.remote({"error": str(error), "kind": type(error).__name__}))


def _learn_here(task: dict[str, Any], is_rank_zero: bool, pressed: threading.Event) -> None:
    """Fit together with the other workers; rank 0 writes the checkpoints and the fitted model."""
    import ray

    plan, mailbox, place = ModelPlan(**task["plan"]), task["mailbox"], Path(task["checkpoints"])
    reporter = Reporter()
    if is_rank_zero:
        ray.get(mailbox.send.remote(None))
        threading.Thread(target=_watch, args=(mailbox, pressed), daemon=True).start()
        reporter = Reporter(notice=mailbox.send.remote, listener=mailbox.send.remote)
        _await_lock(place)
    corpus = Corpus.load(task["counts"])
    model = plan.build()
    interrupted = learn_tuned(plan, model, corpus, place, reporter)
    if is_rank_zero:
        atomic.remove_staged(Path(task["fitted"]))  # left by an earlier attempt
        with atomic.atomic_folder(Path(task["fitted"]), overwrite=False) as folder:
            save_bundle(Bundle(plan.name, model, corpus.vocabulary, corpus.source["options"]), folder)
        ray.get(mailbox.send.remote({"interrupted": interrupted, "device": model.device_}))


def _await_lock(place: Path) -> None:
    """Wait until rank 0 of the previous attempt has released the lock on the checkpoints."""
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            with atomic.folder_lock(place):
                return
        except OutputError:
            if time.monotonic() > until:
                raise
            time.sleep(POLL_SECONDS)


def _this_machine() -> Any:
    """Return a scheduling strategy that places an actor on this machine, so that it survives the loss of others."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _watch(mailbox: Any, pressed: threading.Event) -> None:
    """Set `pressed` when the driver requests to stop."""
    import ray

    with contextlib.suppress(ray.exceptions.RayError):  # the driver is gone, and this process will end too
        while not ray.get(mailbox.stopped.remote()):
            time.sleep(POLL_SECONDS)
        pressed.set()


def _on_disk(corpus: Corpus, place: Path) -> Path:
    """Return a folder with the complete corpus, saved first if needed, for the workers to memory-map."""
    if corpus.folder is None:
        corpus.save(place / "counts")
        return place / "counts"
    if not (corpus.folder / "counts.json").is_file():
        corpus.save(corpus.folder)
    return corpus.folder.absolute()


def _first_line(error: BaseException | None) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
