"""Context managers that apply torch's default settings and restore those of the caller at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from topicnet.runtime.shared_setting import SharedSetting

# numpy's defaults for np.seterr. If a caller raises errors, fits would stop where infinities are expected.
USUAL_ERRORS: dict[str, Any] = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


@contextmanager
def usual_torch() -> Iterator[None]:
    """Context manager: apply torch's default settings, and restore the caller's settings at the end.

    Affected are the default data type and device, automatic mixed precision, deterministic algorithms, precision of
    matrix products and anomaly detection, as well as numpy's handling of floating-point errors. Gradient and inference
    modes stay as they are; see `usual_gradients`. Until the end, other threads see the process-wide settings too.
    """
    with ExitStack() as stack:
        stack.enter_context(_flags.held(None))
        if torch.get_default_device().type != "cpu":  # only if needed, because it slows down every call to torch
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(np.errstate(**USUAL_ERRORS))
        yield


@contextmanager
def usual_gradients() -> Iterator[None]:
    """Context manager: enable gradients, overriding the caller's inference and no-gradient modes."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def _usual_flags(_: None) -> Iterator[None]:
    """Set torch's process-wide settings to their defaults, changing only those that differ."""
    with ExitStack() as stack:

        def change(set_: Callable[..., Any], before: Any, usual: Any, **further: Any) -> None:
            if before != usual:
                set_(usual)
                stack.callback(set_, before, **further)

        change(torch.set_default_dtype, torch.get_default_dtype(), torch.float32)
        change(
            torch.use_deterministic_algorithms,
            torch.are_deterministic_algorithms_enabled(),
            False,
            warn_only=torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        change(torch.autograd.set_detect_anomaly, torch.is_anomaly_enabled(), False)
        try:
            change(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision(), "highest")
        except RuntimeError:  # after the caller has used the newer names, torch rejects the older one
            parts: tuple[Any, ...] = (torch.backends.mkldnn.matmul, torch.backends.cuda.matmul)  # type: ignore[attr-defined]
            for part in parts:

                def set_(value: str, part: Any = part) -> None:
                    part.fp32_precision = value

                change(set_, part.fp32_precision, "ieee")
        yield


_flags = SharedSetting(_usual_flags)
