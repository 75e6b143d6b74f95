"""TOWERS: the registry of published pairs of a text and an image tower, one record a name."""

import difflib
from dataclasses import dataclass
from typing import Literal

from model_maker.backbones.downloaded_weights import HubWeights
from model_maker.errors import BackboneError


@dataclass(frozen=True)
class Blocks:
    """The blocks of a transformer.

    Attributes:
      width: features of a token.
      layers: how many blocks.
      heads: of each attention.
      hidden: features between the two dense layers of a block.
    """

    width: int
    layers: int
    heads: int
    hidden: int


@dataclass(frozen=True)
class FastViTStage:
    """A stage of a FastViT, whose blocks mix neighboring places, or all of them.

    Attributes:
      width: channels.
      blocks: how many.
      hidden: channels between the two dense layers of a block.
      attention: whether blocks attend to all places; else a depthwise convolution mixes neighbors.
      gated: whether squeeze-excite stands in what halves the map before the stage.
    """

    width: int
    blocks: int
    hidden: int
    attention: bool = False
    gated: bool = False


@dataclass(frozen=True)
class Terms:
    """What a licence that is not for every use asks for.

    Attributes:
      allows: in a few words.
      notice: what has to go with every model that is made from the weights.
    """

    allows: str
    owner: str
    url: str
    notice: str

    def __str__(self) -> str:
        return f"{self.allows}, under {self.owner}'s licence ({self.url})"


@dataclass(frozen=True)
class Tower:
    """A text tower and an image tower that were trained together.

    Attributes:
      name: of the repository, shortened.
      weights: both towers, and the scale of their scores.
      tokenizer: `tokenizer.json`, `vocab.json` and `merges.txt`, or `spiece.model`.
      layout: whose tensor names and which layers: Hugging Face's CLIP, open_clip's CLIP, Hugging Face's SigLIP, or
        open_clip's MobileCLIP with timm's FastViT.
      licence: of the weights.
      parameters: of both towers and the scale of scores.
      embedding_size: length of the vectors of both.
      text, image: their blocks; of a FastViT, its stages.
      vocabulary: tokens that the text tower knows.
      context: tokens of the longest text; longer ones are cut.
      patch: height and width of the pieces that the image tower sees as tokens, pixels; 0 of a FastViT.
      image_size: height and width of its input, pixels.
      image_mean, image_std: of each channel, as shares of the brightest pixel.
      crop: whether photos keep their shape and lose their edges; else they are stretched.
      activation: between the dense layers: "quick_gelu" is x * sigmoid(1.702 x), "gelu_tanh" the usual approximation.
      epsilon: of every layer normalization.
      scores: what turns similarities into scores: "softmax" over the labels, or "sigmoid" of each. Their scale and bias
        are among the weights.
      top1: published zero-shot accuracy on ImageNet, percent.
      source: where that is published.
      terms: of a licence that has to be accepted before anything is downloaded; None where all uses are allowed.
      resampling: how photos are resized.
    """

    name: str
    weights: HubWeights
    tokenizer: tuple[HubWeights, ...]
    layout: Literal["clip", "open_clip", "siglip", "mobileclip"]
    licence: str
    parameters: int
    embedding_size: int
    text: Blocks
    image: Blocks | tuple[FastViTStage, ...]
    vocabulary: int
    context: int
    patch: int
    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]
    crop: bool
    activation: Literal["quick_gelu", "gelu", "gelu_tanh"]
    epsilon: float
    scores: Literal["softmax", "sigmoid"]
    top1: float
    source: str
    image_size: int = 224
    terms: Terms | None = None
    resampling: Literal["bicubic", "bilinear"] = "bicubic"

    @property
    def repository(self) -> str:
        """On the Hugging Face Hub."""
        return self.weights.repository

    @property
    def causal(self) -> bool:
        """Whether a token of a text sees only those before it. Else it sees padding, too, up to the context."""
        return self.layout in ("clip", "open_clip")

    @property
    def files(self) -> tuple[HubWeights, ...]:
        """All that is downloaded, in order."""
        return (self.weights, *self.tokenizer)


_TINY = "https://github.com/microsoft/Cream/tree/main/TinyCLIP"
_OPEN_CLIP = "https://github.com/mlfoundations/open_clip/blob/main/docs/openclip_results.csv"
# Of the photos that OpenAI's CLIP was trained on; those who follow it keep them.
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def _vocabulary_of(repository: str) -> tuple[HubWeights, ...]:
    """The files of CLIP's tokenizer."""
    return (
        HubWeights(repository, 860_000, file="vocab.json", alone=False),
        HubWeights(repository, 525_000, file="merges.txt", alone=False),
    )


def _clip(name: str, repository: str, *, file: str = "model.safetensors", layout="clip", parameters: int, **rest):
    """A record of CLIP's family, whose vocabulary, context and pixels are OpenAI's."""
    return Tower(
        name=name,
        weights=HubWeights(repository, 4 * parameters, file=file, alone=False),
        tokenizer=_vocabulary_of(repository),
        layout=layout,
        licence="MIT",
        parameters=parameters,
        embedding_size=512,
        vocabulary=49408,
        context=77,
        image_mean=_CLIP_MEAN,
        image_std=_CLIP_STD,
        crop=True,
        epsilon=1e-5,
        scores="softmax",
        **rest,
    )


_SIGLIP = "google/siglip-base-patch16-224"
# MobileCLIP-S0 itself is published as a pickle only, which is never opened; this is its successor, with the same image
# tower, and a text tower like CLIP's.
_MOBILE = "timm/MobileCLIP2-S0-OpenCLIP"

# TinyCLIP's accuracy was published with its authors' code, whose configurations leave `quick_gelu` off, as those of
# open_clip's ViT-B-32 do.
TOWERS: dict[str, Tower] = {
    tower.name: tower
    for tower in (
        _clip(
            "tinyclip_vit_40m_32",
            "wkcn/TinyCLIP-ViT-40M-32-Text-19M-LAION400M",
            parameters=84_205_569,
            text=Blocks(width=512, layers=6, heads=8, hidden=2048),
            image=Blocks(width=512, layers=12, heads=8, hidden=2048),
            patch=32,
            activation="gelu",
            top1=59.8,
            source=_TINY,
        ),
        _clip(
            "tinyclip_vit_8m_16",
            "wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M",
            parameters=23_446_017,
            text=Blocks(width=256, layers=3, heads=4, hidden=1024),
            image=Blocks(width=256, layers=10, heads=4, hidden=1024),
            patch=16,
            activation="gelu",
            top1=41.1,
            source=_TINY,
        ),
        _clip(
            "clip_vit_b_32_datacomp",
            "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K",
            file="open_clip_model.safetensors",
            layout="open_clip",
            parameters=151_277_313,
            text=Blocks(width=512, layers=12, heads=8, hidden=2048),
            image=Blocks(width=768, layers=12, heads=12, hidden=3072),
            patch=32,
            activation="gelu",
            top1=69.2,
            source=_OPEN_CLIP,
        ),
        Tower(
            name="siglip_base_patch16_224",
            weights=HubWeights(_SIGLIP, 812_700_000, alone=False),
            tokenizer=(HubWeights(_SIGLIP, 798_330, file="spiece.model", alone=False),),
            layout="siglip",
            licence="Apache-2.0",
            parameters=203_155_970,
            embedding_size=768,
            text=Blocks(width=768, layers=12, heads=12, hidden=3072),
            image=Blocks(width=768, layers=12, heads=12, hidden=3072),
            vocabulary=32000,
            context=64,
            patch=16,
            image_mean=(0.5, 0.5, 0.5),
            image_std=(0.5, 0.5, 0.5),
            crop=False,
            activation="gelu_tanh",
            epsilon=1e-6,
            scores="sigmoid",
            top1=76.0,
            source=_OPEN_CLIP,
        ),
        Tower(
            name="mobileclip2_s0",
            weights=HubWeights(_MOBILE, 300_000_000, file="open_clip_model.safetensors", alone=False),
            tokenizer=_vocabulary_of(_MOBILE),
            layout="mobileclip",
            licence="apple-amlr",
            parameters=74_835_073,
            embedding_size=512,
            text=Blocks(width=512, layers=12, heads=8, hidden=2048),
            image=(
                FastViTStage(width=64, blocks=2, hidden=192),
                FastViTStage(width=128, blocks=6, hidden=384),
                FastViTStage(width=256, blocks=10, hidden=768, gated=True),
                FastViTStage(width=512, blocks=2, hidden=1536, attention=True, gated=True),
            ),
            vocabulary=49408,
            context=77,
            patch=0,
            image_size=256,
            image_mean=(0.0, 0.0, 0.0),
            image_std=(1.0, 1.0, 1.0),
            crop=True,
            resampling="bilinear",
            activation="gelu",
            epsilon=1e-5,
            scores="softmax",
            top1=71.5,
            source="https://github.com/apple/ml-mobileclip",
            terms=Terms(
                allows="research only",
                owner="Apple",
                url="https://github.com/apple/ml-mobileclip/blob/main/LICENSE_MODELS",
                notice="Apple Machine Learning Research Model is licensed under the Apple Machine Learning Research "
                "Model License Agreement.",
            ),
        ),
    )
}
DEFAULT = "tinyclip_vit_40m_32"
# Those that have to be accepted.
LICENCES = tuple(sorted({tower.licence for tower in TOWERS.values() if tower.terms}))


def get(name: str, *, accept_licence: str | None = None) -> Tower:
    """Looks up a pair of towers in TOWERS. Those with `terms` need the licence that the user accepts.

    Raises:
      BackboneError: an unknown name; the nearest are suggested. Or a licence that was not accepted.
    """
    if name not in TOWERS:
        near = difflib.get_close_matches(name, TOWERS, n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise BackboneError(f"Unknown CLIP model {name!r}. {hint}There are: {', '.join(TOWERS)}.")
    tower = TOWERS[name]
    if tower.terms and accept_licence != tower.licence:
        received = "" if accept_licence is None else f"{accept_licence!r} is not its licence. "
        raise BackboneError(
            f"The weights of {name} are for {tower.terms}. {received}Nothing was downloaded. To accept this licence, "
            f"pass `accept_licence={tower.licence}`, or choose other towers."
        )
    return tower
