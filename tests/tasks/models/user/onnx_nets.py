"""Small ONNX networks of every kind that users might bring, good and bad."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def network(
    nodes,
    weights=(),
    *,
    inputs=(("in", (1, 3, "h", "w")),),
    output=("out", (1, 3, "H", "W")),
    kind=FLOAT,
):
    """A model's bytes."""

    def value(name, shape):
        return helper.make_tensor_value_info(name, kind, list(shape))

    graph = helper.make_graph(
        nodes,
        "net",
        [value(*one) for one in inputs],
        [value(*output)],
        [numpy_helper.from_array(array, name) for name, array in weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def upscaler(*, scale=2, convs=3, seed=0, channels=3, dtype=np.float32, size=("h", "w")):
    """`convs` padded 3x3 convolutions and a pixel shuffle on top of the nearest pixel: it sees
    `convs` pixels around one."""
    random = np.random.default_rng(seed)
    width, made = 8, channels * scale**2
    widths = [channels, *[width] * (convs - 1), made]
    nodes, weights, at = [], [], "in"
    for index, (before, after) in enumerate(pairwise(widths)):
        weights.append((f"w{index}", random.normal(0, 0.3, (after, before, 3, 3)).astype(dtype)))
        weights.append((f"b{index}", random.normal(0, 0.05, after).astype(dtype)))
        nodes.append(
            helper.make_node(
                "Conv", [at, f"w{index}", f"b{index}"], [f"c{index}"], pads=[1, 1, 1, 1]
            )
        )
        at = f"c{index}"
        if index < convs - 1:
            nodes.append(helper.make_node("LeakyRelu", [at], [f"r{index}"], alpha=0.1))
            at = f"r{index}"
    weights.append(("tenth", np.array(0.1, dtype)))
    repeat = np.repeat(np.eye(channels), scale**2, axis=0)[:, :, None, None].astype(dtype)
    weights.append(("repeat", repeat))
    nodes += [
        helper.make_node("Mul", [at, "tenth"], ["detail"]),
        helper.make_node("Conv", ["in", "repeat"], ["near"]),
        helper.make_node("Add", ["detail", "near"], ["both"]),
        helper.make_node("DepthToSpace", ["both"], ["out"], blocksize=scale, mode="CRD"),
    ]
    return network(
        nodes,
        weights,
        inputs=(("in", (1, channels, *size)),),
        output=("out", (1, channels, "H", "W")),
        kind=HALF if dtype == np.float16 else FLOAT,
    )


def blockwise(*, block=4):
    """Works on blocks of pixels: sizes must be a multiple of `block`, and so must shifts."""
    random = np.random.default_rng(3)
    width = 3 * block**2
    nodes = [
        helper.make_node("SpaceToDepth", ["in"], ["deep"], blocksize=block),
        helper.make_node("Conv", ["deep", "w"], ["mixed"], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["mixed"], ["out"], blocksize=block, mode="DCR"),
    ]
    return network(nodes, [("w", random.normal(0, 0.1, (width, width, 3, 3)).astype(np.float32))])


def whole_picture():
    """Every pixel depends on the mean of the picture."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["in"], ["mean"]),
        helper.make_node("Sub", ["in", "mean"], ["out"]),
    ]
    return network(nodes)


def two_inputs():
    """Makes one picture of two."""
    return network(
        [helper.make_node("Add", ["in", "other"], ["out"])],
        inputs=(("in", (1, 3, "h", "w")), ("other", (1, 3, "h", "w"))),
    )


def grey_out():
    """Makes one channel, and says so nowhere."""
    return network(
        [helper.make_node("ReduceMean", ["in"], ["out"], axes=[1], keepdims=1)],
        output=("out", (1, "C", "H", "W")),
    )


def swapping_channels():
    """R'G'B' to B'G'R': shows which order a network is given."""
    return network(
        [
            helper.make_node("Gather", ["in", "order"], ["out"], axis=1),
        ],
        [("order", np.array([2, 1, 0], np.int64))],
    )


def external(*, in_node=False):
    """A network whose weights are to be read from another file, which may be any."""
    model = onnx.load_from_string(upscaler(convs=2))
    tensor = model.graph.initializer[0]
    if in_node:
        named, tensor = tensor.name, onnx.TensorProto.FromString(tensor.SerializeToString())
        del model.graph.initializer[0]
        node = helper.make_node("Constant", [], [named], value=tensor)
        tensor = node.attribute[0].t
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    if in_node:
        model.graph.node.insert(0, node)
    return model.SerializeToString()


def endless(*, largely=False):
    """A network that never ends, or that makes a picture of some petabytes."""
    if largely:
        repeats = np.array([1, 1, 10**6, 10**6])
        return network([helper.make_node("Tile", ["in", "n"], ["out"])], [("n", repeats)])

    def value(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, shape)

    shape = [1, 3, "h", "w"]
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []),
         value("x", FLOAT, shape)],
        [value("on", TensorProto.BOOL, []), value("y", FLOAT, shape)],
    )  # fmt: skip
    most = np.array(2**62)
    return network(
        [helper.make_node("Loop", ["most", "true", "in"], ["out"], body=body)],
        [("most", most), ("true", np.array(True))],
    )
