"""ONNX networks by ONNX Runtime: what is acceptable, and running one on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cluster.errors import ClusterError, InputError, StageError
from tasks.models.device import Device
from tasks.models.enlarge import Net, Signal, is_out_of_memory
from tasks.models.shelf import Precision
from tasks.models.torch_setup import keep_memory

if TYPE_CHECKING:
    import onnxruntime

_DTYPES: dict[str, tuple[Precision, type[np.floating]]] = {
    "tensor(float)": ("fp32", np.float32),
    "tensor(float16)": ("fp16", np.float16),
}
_CHANNELS = 3
_ONE_FILE = "expected one .onnx file with its weights inside"
PROVIDERS = {
    ("cpu", False): "CPUExecutionProvider",
    ("cuda", False): "CUDAExecutionProvider",
    ("cuda", True): "TensorrtExecutionProvider",
}
_OPTIONS: dict[str, dict[str, str]] = {
    # Kernels chosen by shape, not by a race, and full float32: the same pixels every time.
    "CUDAExecutionProvider": {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxModel:
    """An opened ONNX network: `net` runs windows, `precision` is what goes in."""

    net: Net
    precision: Precision
    parameters: int


def open_onnx(data: bytes, *, device: Device, name: str, tensorrt: bool = False) -> OnnxModel:
    """An image-to-image network from a file's bytes, checked before it runs.

    It must have one input and one output, (N, 3, H, W) R'G'B' in 0..1, float32 or float16, of any
    height and width. Errors: InputError for anything else; ClusterError where ONNX Runtime or the
    provider that `device` needs is missing: it never runs elsewhere in silence.
    """
    ort = _runtime(name)
    provider = _provider(ort, device, tensorrt=tensorrt)
    keep_memory()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; its log would be a second line
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen = [(provider, _OPTIONS.get(provider, {}))]
    faults = _faults(ort)
    _check_whole(data, name)
    try:
        session = ort.InferenceSession(data, options, providers=chosen)
    except faults as error:
        raise InputError(
            f"ONNX Runtime cannot open it: {_first_line(error)}",
            where=f"model {name}",
            remedy=_ONE_FILE,
        ) from error
    if session.get_providers()[0] != provider:
        raise ClusterError(
            f"ONNX Runtime could not start {provider}, it would run on "
            f"{session.get_providers()[0]}",
            where=f"model {name}",
            remedy="install the CUDA libraries that it needs, or set DOUGA_DEVICE=cpu",
        )
    precision, dtype = _checked(session, name)
    input_name = session.get_inputs()[0].name

    def run(window: Signal) -> Signal:
        frame = np.ascontiguousarray(window.transpose(2, 0, 1)[None], dtype)
        try:
            made = session.run(None, {input_name: frame})[0]
        except faults as error:
            if is_out_of_memory(error):
                raise MemoryError(_first_line(error)) from error
            raise StageError(
                f"ONNX Runtime failed on a {window.shape[1]}x{window.shape[0]} window: "
                f"{_first_line(error)}",
                where=f"model {name}",
            ) from error
        return made[0].transpose(1, 2, 0).astype(np.float32)  # type: ignore[no-any-return]

    return OnnxModel(net=run, precision=precision, parameters=_parameters(data))


def _check_whole(data: bytes, name: str) -> None:
    """InputError for a network with weights in other files: the runtime would read any file."""
    from tasks.models.user.onnx_file import names_other_files

    try:
        if not names_other_files(data):
            return
        why = "some of its weights lie in other files"
    except ValueError:
        why = "it is no ONNX file"
    raise InputError(f"ONNX Runtime cannot open it: {why}", where=f"model {name}", remedy=_ONE_FILE)


def _runtime(name: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ClusterError(
            "ONNX Runtime is not installed",
            where=f"model {name}",
            remedy="pip install 'douga[onnx]' (onnxruntime-gpu for CUDA) on every worker",
        ) from error
    return onnxruntime


def _provider(ort: Any, device: Device, *, tensorrt: bool) -> str:
    wanted = PROVIDERS.get((device.kind, tensorrt))
    present = ort.get_available_providers()
    if wanted is None:
        raise ClusterError(
            f"TensorRT was asked for on a worker with the device {device.kind!r}",
            remedy="leave engine out, or run on GPUs",
        )
    if wanted not in present:
        raise ClusterError(
            f"the worker has {device.kind}, its ONNX Runtime has no {wanted} "
            f"({', '.join(present)})",
            remedy="pip install onnxruntime-gpu there, or set DOUGA_DEVICE=cpu",
        )
    return wanted


def _checked(
    session: onnxruntime.InferenceSession, name: str
) -> tuple[Precision, type[np.floating]]:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    where = f"model {name}"
    if (len(inputs), len(outputs)) != (1, 1):
        raise InputError(
            f"it has {len(inputs)} input(s) and {len(outputs)} output(s), expected one of each",
            where=where,
            remedy="only networks that make one picture of one picture are taken",
        )
    for what, tensor in (("input", inputs[0]), ("output", outputs[0])):
        if tensor.type not in _DTYPES:
            raise InputError(
                f"its {what} is {tensor.type}, expected float or float16 pixels", where=where
            )
        shape = tensor.shape
        if len(shape) != 4:
            raise InputError(f"its {what} has shape {shape}, expected (N, 3, H, W)", where=where)
        if isinstance(shape[1], int) and shape[1] != _CHANNELS:
            raise InputError(
                f"its {what} has {shape[1]} channel(s), expected 3 (R'G'B')", where=where
            )
        if any(isinstance(edge, int) for edge in shape[2:]) and what == "input":
            raise InputError(
                f"it takes {shape[3]}x{shape[2]} pictures only, expected any size",
                where=where,
                remedy="export it again with dynamic height and width",
            )
    return _DTYPES[inputs[0].type]


def _parameters(data: bytes) -> int:
    """How many numbers the network learned: the elements of its float initializers."""
    from tasks.models.user.onnx_file import count_parameters

    return count_parameters(data)


def _faults(ort: Any) -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: its classes share no base but Exception."""
    state = ort.capi.onnxruntime_pybind11_state
    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NoSuchFile",
        "NotImplemented",
        "RuntimeException",
        "EPFail",
    )
    return (*(getattr(state, name) for name in names), RuntimeError, ValueError)


def _first_line(error: Exception) -> str:
    """The telling part of ONNX Runtime's message."""
    text = " ".join(str(error).split())
    return text.removeprefix("[ONNXRuntimeError] : ")[:300]
