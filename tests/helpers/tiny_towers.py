"""Towers of a few hundred weights: records, the files of a repository, and the same networks written out plainly."""

import json
import math
import struct

import numpy as np
import tiny_fastvit
from safetensors.numpy import save_file

from model_maker.backbones.downloaded_weights import HubWeights
from model_maker.clip.records import Blocks, Terms, Tower

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
TEXT, IMAGE = Blocks(width=8, layers=2, heads=2, hidden=12), Blocks(width=12, layers=2, heads=3, hidden=20)
CONTEXT, PATCH, SIZE, SHARED = 7, 8, 24, 6
MEAN, STD = (0.48, 0.45, 0.41), (0.27, 0.26, 0.28)
TERMS = Terms("research only", "Somebody", "https://example.com/terms", "All of this is Somebody's.")
MERGES = ("c a", "ca t</w>", "d o", "do g</w>")


def vocabulary():
    """Tokens of CLIP's form: bytes, bytes that end a word, merges, the two marks."""
    letters = [chr(code) for code in range(33, 127)]
    merged = [merge.replace(" ", "") for merge in MERGES]
    names = [*letters, *(f"{letter}</w>" for letter in letters), *merged, BEGIN, END]
    return {name: index for index, name in enumerate(names)}


# Text, score and kind (1 for a usual one) of sentencepiece's pieces; "▁" stands for a space.
PIECES = (
    ("<pad>", 0.0, 3), ("</s>", 0.0, 3), ("<unk>", 0.0, 2), ("▁", -4.0, 1), ("▁cat", -1.0, 1), ("▁c", -2.0, 1),
    ("at", -2.5, 1), ("a", -3.0, 1), ("t", -3.0, 1), ("▁dog", -1.5, 1), ("s", -2.0, 1),
)  # fmt: skip


def spiece():
    """The pieces as sentencepiece writes them: protobuf, by its wire format."""

    def field(number, value):
        return bytes([number << 3 | 2, len(value)]) + value

    pieces = (
        field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + (bytes([0x18, kind]) if kind != 1 else b"")
        for text, score, kind in PIECES
    )
    trainer = field(2, bytes([0x18, 1]))  # model_type: unigram
    return b"".join(field(1, piece) for piece in pieces) + trainer


def record(layout="clip", *, sha256=None, activation="quick_gelu"):
    """A record as in TOWERS."""
    names = ("spiece.model",) if layout == "siglip" else ("vocab.json", "merges.txt")
    repository, mobile = f"someone/tiny_{layout}", layout == "mobileclip"
    image = Blocks(**{**vars(IMAGE), "width": TEXT.width, "heads": 2}) if layout == "siglip" else IMAGE
    return Tower(
        name=f"tiny_{layout}",
        weights=HubWeights(repository, 9000, sha256=sha256, alone=False),
        tokenizer=tuple(HubWeights(repository, 900, file=file, alone=False) for file in names),
        layout=layout,
        licence="some-licence" if mobile else "MIT",
        parameters=0,
        embedding_size=TEXT.width if layout == "siglip" else SHARED,
        text=TEXT,
        image=tiny_fastvit.STAGES if mobile else image,
        vocabulary=len(PIECES if layout == "siglip" else vocabulary()),
        context=CONTEXT,
        patch=0 if mobile else PATCH,
        image_size=tiny_fastvit.SIZE if mobile else SIZE,
        image_mean=MEAN,
        image_std=STD,
        crop=layout != "siglip",
        activation=activation,
        epsilon=1e-5,
        scores="sigmoid" if layout == "siglip" else "softmax",
        top1=0.0,
        source="",
        terms=TERMS if mobile else None,
        resampling="bilinear" if mobile else "bicubic",
    )


def weights(tower):
    """Random tensors by Hugging Face's names; those of a FastViT by timm's."""
    generator, found = np.random.default_rng(0), {}

    def add(name, *shape, about=0.0):
        found[name] = (about + generator.normal(0, 0.5, shape)).astype(np.float32)

    def dense(name, outputs, inputs):
        add(f"{name}.weight", outputs, inputs)
        add(f"{name}.bias", outputs)

    def norm(name, width):
        add(f"{name}.weight", width, about=1.0)
        add(f"{name}.bias", width)

    mobile = tower.layout == "mobileclip"
    for prefix, blocks in (("text_model", tower.text), *(() if mobile else (("vision_model", tower.image),))):
        for index in range(blocks.layers):
            name = f"{prefix}.encoder.layers.{index}"
            for number in (1, 2):
                norm(f"{name}.layer_norm{number}", blocks.width)
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                dense(f"{name}.self_attn.{part}", blocks.width, blocks.width)
            dense(f"{name}.mlp.fc1", blocks.hidden, blocks.width)
            dense(f"{name}.mlp.fc2", blocks.width, blocks.hidden)
    add("text_model.embeddings.token_embedding.weight", tower.vocabulary, tower.text.width)
    add("text_model.embeddings.position_embedding.weight", tower.context, tower.text.width)
    norm("text_model.final_layer_norm", tower.text.width)
    if mobile:
        add("text_projection.weight", tower.embedding_size, tower.text.width)
        found["logit_scale"] = np.array(math.log(100), np.float32)
        return found | tiny_fastvit.weights(tower.embedding_size, generator)
    width, patches = tower.image.width, (tower.image_size // tower.patch) ** 2
    add("vision_model.embeddings.patch_embedding.weight", width, 3, tower.patch, tower.patch)
    norm("vision_model.post_layernorm", width)
    if tower.layout == "siglip":
        add("vision_model.embeddings.position_embedding.weight", patches, width)
        add("vision_model.embeddings.patch_embedding.bias", width)
        dense("text_model.head", tower.embedding_size, tower.text.width)
        name = "vision_model.head"
        add(f"{name}.probe", 1, 1, width)
        add(f"{name}.attention.in_proj_weight", 3 * width, width)
        add(f"{name}.attention.in_proj_bias", 3 * width)
        dense(f"{name}.attention.out_proj", width, width)
        norm(f"{name}.layernorm", width)
        dense(f"{name}.mlp.fc1", tower.image.hidden, width)
        dense(f"{name}.mlp.fc2", width, tower.image.hidden)
        found["logit_bias"] = np.array([-12.5], np.float32)
        found["logit_scale"] = np.array([math.log(110)], np.float32)
        return found
    add("vision_model.embeddings.position_embedding.weight", patches + 1, width)
    add("vision_model.embeddings.class_embedding", width)
    norm("vision_model.pre_layrnorm", width)
    add("visual_projection.weight", tower.embedding_size, width)
    add("text_projection.weight", tower.embedding_size, tower.text.width)
    found["logit_scale"] = np.array(math.log(100), np.float32)
    return found


def blocks(tensors, theirs, ours):
    found = {}
    for index in range(2):
        old, new = f"{theirs}.encoder.layers.{index}.", f"{ours}transformer.resblocks.{index}."
        for part, joined in (("weight", "in_proj_weight"), ("bias", "in_proj_bias")):
            layers_of = [tensors[f"{old}self_attn.{letter}_proj.{part}"] for letter in "qkv"]
            found[f"{new}attn.{joined}"] = np.concatenate(layers_of)
            for a, b in (("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("self_attn.out_proj", "attn.out_proj"),
                         ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj")):  # fmt: skip
                found[f"{new}{b}.{part}"] = tensors[f"{old}{a}.{part}"]
    return found


def open_clip_text(tensors):
    found = blocks(tensors, "text_model", "")
    for part in ("weight", "bias"):
        found[f"ln_final.{part}"] = tensors[f"text_model.final_layer_norm.{part}"]
    found["token_embedding.weight"] = tensors["text_model.embeddings.token_embedding.weight"]
    found["positional_embedding"] = tensors["text_model.embeddings.position_embedding.weight"]
    found["text_projection"] = np.ascontiguousarray(tensors["text_projection.weight"].T)
    return found


def open_clip(tensors):
    """The same tensors as open_clip names and joins them."""
    found = (
        {"logit_scale": tensors["logit_scale"]} | open_clip_text(tensors) | blocks(tensors, "vision_model", "visual.")
    )
    for part in ("weight", "bias"):
        found[f"visual.ln_pre.{part}"] = tensors[f"vision_model.pre_layrnorm.{part}"]
        found[f"visual.ln_post.{part}"] = tensors[f"vision_model.post_layernorm.{part}"]
    found["visual.class_embedding"] = tensors["vision_model.embeddings.class_embedding"]
    found["visual.conv1.weight"] = tensors["vision_model.embeddings.patch_embedding.weight"]
    found["visual.positional_embedding"] = tensors["vision_model.embeddings.position_embedding.weight"]
    found["visual.proj"] = np.ascontiguousarray(tensors["visual_projection.weight"].T)
    return found


def mobileclip(tensors):
    """The same tensors as open_clip names them where the text tower is of its own kind."""
    found = {name: array for name, array in tensors.items() if not name.startswith("text")}
    return found | {f"text.{name}": array for name, array in open_clip_text(tensors).items()}


def write(folder, tower):
    """Writes the files of the repository; returns its tensors by Hugging Face's names."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = weights(tower)
    named = {"open_clip": open_clip, "mobileclip": mobileclip}.get(tower.layout, dict)(tensors)
    save_file(named, folder / tower.weights.file)
    if tower.layout == "siglip":
        (folder / "spiece.model").write_bytes(spiece())
        return tensors
    (folder / "vocab.json").write_text(json.dumps(vocabulary()), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n", encoding="utf-8")
    return tensors
