"""The towers once more, in float64, one head, token and formula at a time: what the project's networks have to give."""

import math

import numpy as np

ACTIVATIONS = {
    "quick_gelu": lambda x: x / (1 + np.exp(-1.702 * x)),
    "gelu": np.vectorize(lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2)))),
    "gelu_tanh": lambda x: x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
}


def norm(x, tensors, name, epsilon):
    rows = [(row - row.mean()) / math.sqrt(row.var() + epsilon) for row in x]
    return np.array(rows) * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def dense(x, tensors, name):
    return x @ tensors[f"{name}.weight"].astype(float).T + tensors[f"{name}.bias"]


def attention(queries, keys, values, heads, causal=False):
    width = queries.shape[1] // heads
    result = np.zeros_like(queries)
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for token, query in enumerate(queries[:, part]):
            seen = len(keys) if not causal else token + 1
            weights = np.exp(keys[:seen, part] @ query / math.sqrt(width))
            result[token, part] = weights / weights.sum() @ values[:seen, part]
    return result


def encode(x, tensors, prefix, blocks, tower, *, causal):
    activate = ACTIVATIONS[tower.activation]
    for index in range(blocks.layers):
        name = f"{prefix}.encoder.layers.{index}"
        y = norm(x, tensors, f"{name}.layer_norm1", tower.epsilon)
        parts = (dense(y, tensors, f"{name}.self_attn.{letter}_proj") for letter in "qkv")
        x = x + dense(attention(*parts, blocks.heads, causal), tensors, f"{name}.self_attn.out_proj")
        y = norm(x, tensors, f"{name}.layer_norm2", tower.epsilon)
        x = x + dense(activate(dense(y, tensors, f"{name}.mlp.fc1")), tensors, f"{name}.mlp.fc2")
    return x


def text(ids, tensors, tower, end=-1):
    """The vector of one text's tokens, which ends at `end`; of SigLIP and MobileCLIP with the padding behind it."""
    embeddings = "text_model.embeddings"
    places = tensors[f"{embeddings}.position_embedding.weight"][: len(ids)]
    x = tensors[f"{embeddings}.token_embedding.weight"][ids].astype(float) + places
    x = encode(x, tensors, "text_model", tower.text, tower, causal=tower.layout not in ("siglip", "mobileclip"))
    last = norm(x, tensors, "text_model.final_layer_norm", tower.epsilon)[end][None]
    if tower.layout == "siglip":
        return dense(last, tensors, "text_model.head")[0]
    return (last @ tensors["text_projection.weight"].T)[0]


def image(pixels, tensors, tower):
    """The vector of one photo, uint8 [H, H, 3]."""
    name, side = "vision_model.embeddings", tower.image_size // tower.patch
    x = (pixels / 255 - np.array(tower.image_mean)) / np.array(tower.image_std)
    kernel = tensors[f"{name}.patch_embedding.weight"].astype(float)
    bias = tensors.get(f"{name}.patch_embedding.bias", 0)
    rows = []
    for row in range(side):
        for column in range(side):
            patch = x[row * tower.patch :, column * tower.patch :][: tower.patch, : tower.patch]
            rows.append(np.array([(one * patch.transpose(2, 0, 1)).sum() for one in kernel]) + bias)
    if tower.layout != "siglip":
        rows.insert(0, tensors[f"{name}.class_embedding"])
    x = np.array(rows) + tensors[f"{name}.position_embedding.weight"]
    if tower.layout != "siglip":
        x = norm(x, tensors, "vision_model.pre_layrnorm", tower.epsilon)
    x = encode(x, tensors, "vision_model", tower.image, tower, causal=False)
    x = norm(x, tensors, "vision_model.post_layernorm", tower.epsilon)
    if tower.layout != "siglip":
        return x[0] @ tensors["visual_projection.weight"].T
    head = "vision_model.head"
    kernels = np.split(tensors[f"{head}.attention.in_proj_weight"].astype(float), 3)
    biases = np.split(tensors[f"{head}.attention.in_proj_bias"], 3)
    sources = (tensors[f"{head}.probe"][0], x, x)
    parts = (source @ kernel.T + bias for source, kernel, bias in zip(sources, kernels, biases, strict=True))
    x = dense(attention(*parts, tower.image.heads), tensors, f"{head}.attention.out_proj")
    y = dense(norm(x, tensors, f"{head}.layernorm", tower.epsilon), tensors, f"{head}.mlp.fc1")
    return (x + dense(ACTIVATIONS[tower.activation](y), tensors, f"{head}.mlp.fc2"))[0]
