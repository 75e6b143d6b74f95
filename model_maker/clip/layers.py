"""Layers that image towers share: attention, dense layers, activations."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_maker.backbones.network import Canvas

Array = np.ndarray
# Kernel [outputs, inputs] and bias [outputs].
Dense = tuple[Array, Array]


class TokenLayers(Canvas):
    """Layers over tokens, [1, T, width]; each method returns the index of its output's tensor."""

    def dense(self, x: int, name: str, layer: Dense) -> int:
        """Adds a dense layer."""
        kernel, bias = layer
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims = True
        inputs = [x, self.constant(f"{name}_kernel", kernel), self.constant(f"{name}_bias", bias)]
        return self.operator("FULLY_CONNECTED", inputs, (*self.shape(x)[:-1], len(kernel)), options, name)

    def attend(self, query: int, x: int, name: str, layers: dict[str, Dense], heads: int) -> int:
        """Adds attention to the tokens `x`.

        Args:
          query: what is asked for, [1, T', width], of queries scaled by `scaled`.
          layers: for keys and values ("k", "v"), and for what comes out ("out").
          heads: among which features are parted.
        """
        key, value = (
            self._heads(self.dense(x, f"{name}.{letter}", layers[letter]), f"{name}.{letter}", heads) for letter in "kv"
        )
        products = self._multiply(self._heads(query, f"{name}.q", heads), key, f"{name}.products", transposed=True)
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        shares = self.operator("SOFTMAX", [products], self.shape(products), options, f"{name}.shares")
        mixed = self._transpose(self._multiply(shares, value, f"{name}.mixed"), f"{name}.by_token")
        joined = self.reshape(mixed, f"{name}.joined", *self.shape(query))
        return self.dense(joined, f"{name}.out", layers["out"])

    def gelu(self, x: int, name: str, *, approximate: bool = False) -> int:
        """Adds the activation."""
        options = schema.GeluOptionsT()
        options.approximate = approximate
        return self.operator("GELU", [x], self.shape(x), options, name)

    def reshape(self, x: int, name: str, *shape: int) -> int:
        """Gives an activation another shape."""
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        sides = self.constant(f"{name}_shape", np.array(shape), "int32")
        return self.operator("RESHAPE", [x, sides], shape, options, name)

    def binary(self, kind: str, x: int, y: int, name: str) -> int:
        """Adds ADD, SUB or MUL of two tensors; the result has the shape of the first."""
        options = {"ADD": schema.AddOptionsT, "SUB": schema.SubOptionsT, "MUL": schema.MulOptionsT}[kind]()
        return self.operator(kind, [x, y], self.shape(x), options, name)

    def _heads(self, x: int, name: str, heads: int) -> int:
        """Parts features among heads: [1, T, width] to [1, heads, T, width / heads]."""
        _, count, width = self.shape(x)
        parted = self.reshape(x, f"{name}_parted", 1, count, heads, width // heads)
        return self._transpose(parted, f"{name}_heads")

    def _transpose(self, x: int, name: str) -> int:
        """Exchanges the two axes in the middle."""
        order = self.constant(f"{name}_order", np.array([0, 2, 1, 3]), "int32")
        one, two, three, four = self.shape(x)
        return self.operator("TRANSPOSE", [x, order], (one, three, two, four), schema.TransposeOptionsT(), name)

    def _multiply(self, x: int, y: int, name: str, *, transposed: bool = False) -> int:
        """Multiplies matrices of each head, the second one transposed or not."""
        options = schema.BatchMatMulOptionsT()
        options.adjY = transposed
        shape = (*self.shape(x)[:3], self.shape(y)[2 if transposed else 3])
        return self.operator("BATCH_MATMUL", [x, y], shape, options, name)


def scaled(layer: Dense, width: int, heads: int) -> Dense:
    """Takes the scale of attention's products into the layer for queries."""
    factor = np.float32((width // heads) ** -0.5)
    kernel, bias = layer
    return kernel * factor, bias * factor
