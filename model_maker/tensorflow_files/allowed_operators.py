"""ALLOWED: operators allowed in untrusted TensorFlow graphs, which only compute with values in memory.

An allowlist, because a list of forbidden ones would never be complete: TensorFlow has over a thousand operators, and
packages add more. No node and no function is exempt, whatever its name.
"""

from collections.abc import Iterator
from typing import Any

from model_maker.errors import BackboneError

_EDGES = (
    "Const Placeholder PlaceholderWithDefault Identity IdentityN NoOp StopGradient PreventGradient Snapshot _Arg "
    "_Retval"
)
_CALLS = "PartitionedCall StatefulPartitionedCall If StatelessIf Switch Merge RefSwitch RefMerge Assert"
_VARIABLES = (
    "VarHandleOp ReadVariableOp AssignVariableOp AssignAddVariableOp AssignSubVariableOp VarIsInitializedOp "
    "VariableShape DestroyResourceOp DisableCopyOnRead ResourceGather"
)
_LAYERS = (
    "Conv2D DepthwiseConv2dNative Conv2DBackpropInput Conv3D _FusedConv2D _FusedDepthwiseConv2dNative _FusedMatMul "
    "_FusedBatchNormEx MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum BiasAdd BiasAddV1 AvgPool MaxPool "
    "MaxPoolV2 LRN FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 BatchNormWithGlobalNormalization L2Loss "
    "ExtractImagePatches SpaceToBatchND BatchToSpaceND SpaceToBatch BatchToSpace SpaceToDepth DepthToSpace Dilation2D"
)
_ACTIVATIONS = (
    "Relu Relu6 LeakyRelu Elu Selu Softplus Softsign Sigmoid LogSoftmax Softmax Tanh Erf Erfc "
    "FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantizeV2 "
    "QuantizeAndDequantizeV3 QuantizeAndDequantizeV4"
)
_ARITHMETIC = (
    "Add AddV2 AddN Sub Mul MulNoNan Div DivNoNan RealDiv FloorDiv TruncateDiv FloorMod Mod Maximum Minimum Pow Square "
    "SquaredDifference Sqrt Rsqrt Reciprocal Inv Exp Expm1 Log Log1p Neg Abs Sign Round Rint Floor Ceil Sin Cos Tan "
    "Atan Atan2 Cast Bitcast ClipByValue IsNan IsInf IsFinite Equal NotEqual Less LessEqual Greater GreaterEqual "
    "LogicalAnd LogicalOr LogicalNot ApproximateEqual Select SelectV2 Xlogy"
)
_REDUCTIONS = "Sum Mean Max Min Prod All Any ArgMax ArgMin EuclideanNorm Cumsum Cumprod TopK TopKV2 InTopK InTopKV2"
_SHAPES = (
    "Shape ShapeN Size Rank Reshape Squeeze ExpandDims Transpose ConjugateTranspose Concat ConcatV2 ConcatOffset Pack "
    "Unpack Split SplitV Slice StridedSlice Pad PadV2 MirrorPad Tile Fill ZerosLike OnesLike Range LinSpace Reverse "
    "ReverseV2 Gather GatherV2 GatherNd OneHot BroadcastTo BroadcastArgs BroadcastGradientArgs EnsureShape "
    "InvertPermutation Roll MatrixDiag MatrixBandPart Empty"
)
_PICTURES = (
    "ResizeBilinear ResizeNearestNeighbor ResizeBicubic ResizeArea ScaleAndTranslate CropAndResize AdjustContrastv2 "
    "AdjustHue AdjustSaturation RGBToHSV HSVToRGB ImageProjectiveTransformV2 ImageProjectiveTransformV3"
)
# In branches that only training executes: dropout and augmentation.
_RANDOM = (
    "RandomUniform RandomUniformInt RandomStandardNormal TruncatedNormal RngReadAndSkip RngSkip StatelessRandomUniform "
    "StatelessRandomUniformV2 StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessRandomUniformFullInt "
    "StatelessRandomUniformFullIntV2 StatelessRandomNormal StatelessRandomNormalV2 StatelessTruncatedNormalV2 "
    "StatelessRandomGetKeyCounter StatelessRandomGetAlg StatelessRandomGetKeyCounterAlg"
)
ALLOWED = frozenset(
    " ".join(
        (_EDGES, _CALLS, _VARIABLES, _LAYERS, _ACTIVATIONS, _ARITHMETIC, _REDUCTIONS, _SHAPES, _PICTURES, _RANDOM)
    ).split()
)


def check_graph(graph: Any, address: str) -> None:
    """Raises a BackboneError for any operator not in ALLOWED in the nodes of a GraphDef, or in any of its functions."""
    own = {function.signature.name for function in graph.library.function}
    for node in nodes(graph):
        if node.op not in ALLOWED and node.op not in own:
            raise BackboneError(
                f"{address} contains the operation {node.op[:80]}, which no image classifier needs, so it is not run."
            )


def nodes(graph: Any) -> Iterator[Any]:
    """Yields the NodeDefs of a GraphDef and of all its functions."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def
