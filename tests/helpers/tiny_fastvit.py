"""A small FastViT: its tensors, and the network written out plainly, branch by branch, in float64."""

import numpy as np
import plain_towers

from model_maker.clip.records import FastViTStage

STAGES = (
    FastViTStage(width=32, blocks=2, hidden=12),
    FastViTStage(width=64, blocks=1, hidden=20, attention=True, gated=True),
)
SIZE = 32
TRUNK = "visual.trunk"


def weights(shared, generator):
    """Random tensors by timm's names, with statistics of batch normalizations that are no ones and zeros."""
    found = {}

    def norm(name, width):
        found[f"{name}.weight"] = generator.uniform(0.6, 1.4, width)
        found[f"{name}.running_var"] = generator.uniform(0.6, 1.4, width)
        found[f"{name}.bias"], found[f"{name}.running_mean"] = generator.normal(0, 0.2, (2, width))
        found[f"{name}.num_batches_tracked"] = np.array(7)

    def layer(name, *shape, bias=True):
        found[f"{name}.weight"] = generator.normal(0, np.prod(shape[1:]) ** -0.5, shape)
        if bias:
            found[f"{name}.bias"] = generator.normal(0, 0.2, shape[0])

    def convolution(name, outputs, inputs, kernel):
        layer(f"{name}.conv", outputs, inputs, kernel, kernel, bias=False)
        norm(f"{name}.bn", outputs)

    def mobile_one(name, outputs, inputs, kernel, *, same):
        convolution(f"{name}.conv_kxk.0", outputs, inputs, kernel)
        if kernel > 1:
            convolution(f"{name}.conv_scale", outputs, inputs, 1)
        if same:
            norm(f"{name}.identity", outputs)

    def gate(name, width, reduced):
        layer(f"{name}.fc1", reduced, width, 1, 1)
        layer(f"{name}.fc2", width, reduced, 1, 1)

    def gamma(name, width):
        found[f"{name}.gamma"] = generator.normal(0.4, 0.2, (width, 1, 1))

    first, last = STAGES[0].width, STAGES[-1].width
    mobile_one(f"{TRUNK}.stem.0", first, 3, 3, same=False)
    mobile_one(f"{TRUNK}.stem.1", first, 1, 3, same=False)
    mobile_one(f"{TRUNK}.stem.2", first, first, 1, same=True)
    for number, stage in enumerate(STAGES):
        width, name = stage.width, f"{TRUNK}.stages.{number}"
        if number:
            convolution(f"{name}.downsample.proj.0.large_conv", width, 1, 7)
            convolution(f"{name}.downsample.proj.0.small_conv", width, 1, 3)
            gate(f"{name}.downsample.proj.0.se", width, width // 4)
            mobile_one(f"{name}.downsample.proj.1", width, width, 1, same=True)
            layer(f"{name}.pos_emb.pos_enc", width, 1, 7, 7)
        for index in range(stage.blocks):
            block = f"{name}.blocks.{index}"
            convolution(f"{block}.mlp.conv", width, 1, 7)
            layer(f"{block}.mlp.fc1", stage.hidden, width, 1, 1)
            layer(f"{block}.mlp.fc2", width, stage.hidden, 1, 1)
            if number:
                norm(f"{block}.norm", width)
                layer(f"{block}.token_mixer.qkv", 3 * width, width, bias=False)
                layer(f"{block}.token_mixer.proj", width, width)
                gamma(f"{block}.layer_scale_1", width)
                gamma(f"{block}.layer_scale_2", width)
            else:
                norm(f"{block}.token_mixer.norm.identity", width)
                mobile_one(f"{block}.token_mixer.mixer", width, 1, 3, same=True)
                gamma(f"{block}.token_mixer.layer_scale", width)
                gamma(f"{block}.layer_scale", width)
    mobile_one(f"{TRUNK}.final_conv", 2 * last, 1, 3, same=False)
    gate(f"{TRUNK}.final_conv.se", 2 * last, 2 * last // 16)
    layer(f"{TRUNK}.head.fc", shared, 2 * last)
    return {name: np.asarray(array, np.float32) for name, array in found.items()}


def image(pixels, tensors, mean, std):
    """The vector of one photo, uint8 [H, H, 3]."""
    x = (pixels / 255 - np.array(mean)) / np.array(std)
    x = _mobile_one(x, tensors, f"{TRUNK}.stem.0", stride=2)
    x = _mobile_one(x, tensors, f"{TRUNK}.stem.1", stride=2)
    x = _mobile_one(x, tensors, f"{TRUNK}.stem.2")
    for number, stage in enumerate(STAGES):
        name = f"{TRUNK}.stages.{number}"
        if number:
            down = f"{name}.downsample.proj"
            x = sum(_normalized(x, tensors, f"{down}.0.{part}_conv", 2) for part in ("large", "small"))
            x = _gelu(_gated(x, tensors, f"{down}.0.se"))
            x = _mobile_one(x, tensors, f"{down}.1")
            x = x + _convolve(x, tensors, f"{name}.pos_emb.pos_enc")
        for index in range(stage.blocks):
            x = _block(x, tensors, f"{name}.blocks.{index}", attention=number > 0)
    x = _mobile_one(x, tensors, f"{TRUNK}.final_conv", gate=True)
    return plain_towers.dense(x.mean((0, 1)), tensors, f"{TRUNK}.head.fc")


def _block(x, tensors, name, *, attention):
    if attention:
        high, wide, width = x.shape
        tokens = _norm(x, tensors, f"{name}.norm").reshape(high * wide, width)
        parts = np.split(tokens @ tensors[f"{name}.token_mixer.qkv.weight"].astype(float).T, 3, axis=1)
        mixed = plain_towers.dense(plain_towers.attention(*parts, width // 32), tensors, f"{name}.token_mixer.proj")
        x = x + tensors[f"{name}.layer_scale_1.gamma"][:, 0, 0] * mixed.reshape(x.shape)
    else:
        mixer = f"{name}.token_mixer"
        difference = _mobile_one(x, tensors, f"{mixer}.mixer", activate=False) - _norm(
            x, tensors, f"{mixer}.norm.identity"
        )
        x = x + tensors[f"{mixer}.layer_scale.gamma"][:, 0, 0] * difference
    y = _normalized(x, tensors, f"{name}.mlp.conv")
    y = _convolve(_gelu(_convolve(y, tensors, f"{name}.mlp.fc1")), tensors, f"{name}.mlp.fc2")
    return x + tensors[f"{name}.layer_scale{'_2' if attention else ''}.gamma"][:, 0, 0] * y


def _mobile_one(x, tensors, name, *, stride=1, gate=False, activate=True):
    y = _normalized(x, tensors, f"{name}.conv_kxk.0", stride)
    if f"{name}.conv_scale.conv.weight" in tensors:
        y = y + _normalized(x, tensors, f"{name}.conv_scale", stride)
    if f"{name}.identity.weight" in tensors:
        y = y + _norm(x, tensors, f"{name}.identity")
    if gate:
        y = _gated(y, tensors, f"{name}.se")
    return _gelu(y) if activate else y


def _gated(x, tensors, name):
    y = np.maximum(_convolve(x.mean((0, 1), keepdims=True), tensors, f"{name}.fc1"), 0)
    return x / (1 + np.exp(-_convolve(y, tensors, f"{name}.fc2")))


def _normalized(x, tensors, name, stride=1):
    return _norm(_convolve(x, tensors, f"{name}.conv", stride), tensors, f"{name}.bn")


def _norm(x, tensors, name):
    part = {key: tensors[f"{name}.{key}"].astype(float) for key in ("weight", "bias", "running_mean", "running_var")}
    return (x - part["running_mean"]) / np.sqrt(part["running_var"] + 1e-5) * part["weight"] + part["bias"]


def _convolve(x, tensors, name, stride=1):
    """A convolution of [H, W, C] place by place, zeros around; in groups where the kernel sees fewer channels."""
    kernel = tensors[f"{name}.weight"].astype(float)
    outputs, inputs, side, _ = kernel.shape
    around = side // 2
    padded = np.pad(x, ((around, around), (around, around), (0, 0)))
    groups = x.shape[2] // inputs
    each = outputs // groups
    result = np.zeros((-(-x.shape[0] // stride), -(-x.shape[1] // stride), outputs))
    for row, column in np.ndindex(*result.shape[:2]):
        seen = padded[row * stride : row * stride + side, column * stride : column * stride + side]
        for group in range(groups):
            some = slice(group * each, (group + 1) * each)
            part = seen[:, :, group * inputs : (group + 1) * inputs].transpose(2, 0, 1)
            result[row, column, some] = (kernel[some] * part).sum((1, 2, 3))
    return result + tensors.get(f"{name}.bias", 0.0)


def _gelu(x):
    return plain_towers.ACTIVATIONS["gelu"](x)
