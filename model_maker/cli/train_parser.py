"""What `train` can be told."""

from __future__ import annotations

import argparse

from model_maker.cli.parsers import KINDS, command, part_folders


def add_train(commands) -> None:
    """Adds the sub-command."""
    # Flags that are not given stay absent, so that --config and the defaults of training.Options can fill them.
    parser = command(
        commands, "train", "train on a folder of photos and write a .tflite", argument_default=argparse.SUPPRESS
    )
    parser.add_argument("--data", metavar="DIR", help="DIR/<class>/photos, or DIR/{train,val,test}/<class>/photos")
    part_folders(parser)
    parser.add_argument("--output", metavar="DIR", help="folder to make (default: <data name>_model)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output folder if it exists")
    parser.add_argument("--config", metavar="RUN.JSON", help="repeat a run; other flags take precedence")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="backbone, see `model_maker models`, or a model file or address; several, as A,B,C, are compared"
        " (default: efficientnet_lite0)",
    )
    parser.add_argument(
        "--init-from", metavar="DIR", help="go on from the network of an earlier run, also with other classes"
    )
    parser.add_argument("--max-size", type=float, metavar="MB", help="recommend one of several models up to this size")
    parser.add_argument("--max-latency", type=float, metavar="MS", help="recommend one up to this latency at 1 thread")
    parser.add_argument("--weights", metavar="FILE", help="weights to use instead of the backbone's published ones")
    parser.add_argument(
        "--normalization", metavar="MEAN,STD", help="what an imported model's input expects, in pixels, as 127.5,127.5"
    )
    parser.add_argument("--quantize", metavar="KIND", help=f"{KINDS} (default: int8)")
    parser.add_argument(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="points of top-1 that quantization may lose, as 0.5; other forms are tried until one loses no more",
    )
    parser.add_argument("--io", metavar="TYPE", help="input and output: uint8 or float32 (default: uint8)")
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="another input size than the backbone's own")
    parser.add_argument("--validation", type=float, metavar="SHARE", help="share of each class (default: 0.1)")
    parser.add_argument("--test", type=float, metavar="SHARE", help="share of each class (default: 0.2)")
    parser.add_argument(
        "--augment",
        metavar="PRESET",
        help="learn from augmented views of photos too: none, light, standard or strong"
        " (default: none, in fine-tuning standard)",
    )
    parser.add_argument("--views", type=int, metavar="K", help="views of a photo, the first plain (default: 4)")
    parser.add_argument(
        "--layers",
        metavar="SET",
        help="layers of the backbone that the head sees: last, top, all, or auto for the simplest as good as the best"
        " (default: auto)",
    )
    parser.add_argument("--class-weight", metavar="HOW", help="auto: uneven classes weigh alike; none (default: auto)")
    parser.add_argument(
        "--precision",
        type=float,
        metavar="SHARE",
        help="choose a score threshold so that this share of answers is right, as 0.95; below it a photo is unknown",
    )
    parser.add_argument(
        "--label-precision",
        type=float,
        metavar="SHARE",
        help="choose a threshold for each label so that this share of its answers is right",
    )
    _fine_tuning(parser)
    _place(parser)
    parser.add_argument("--folds", type=int, metavar="K", help="also estimate accuracy by K-fold cross-validation")
    parser.add_argument("--seed", type=int, help="another seed divides photos and draws views otherwise (default: 0)")
    parser.add_argument("--threads", type=int, metavar="N", help="photos at a time (default: all cores)")
    parser.add_argument("--name", help="model name in the metadata (default: the data folder's)")
    parser.add_argument("--author", help="author in the metadata")
    parser.add_argument("--licence", help="licence in the metadata (default: that of the backbone's weights)")
    parser.add_argument("--json", action="store_true", default=False, help="print metrics as one JSON document")
    parser.set_defaults(overwrite=False)


def _place(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "many machines", "The same model, from photos embedded by a cluster: docs/SCALING.md."
    )
    group.add_argument("--engine", metavar="NAME", help="where photos are embedded: local or ray (default: local)")
    group.add_argument(
        "--address", metavar="HOST:PORT", help="the Ray cluster, or auto for this node's (default: Ray on this machine)"
    )
    group.add_argument(
        "--shards", metavar="DIR", help="folder or s3:// address that all machines reach (default: the cache)"
    )


def _fine_tuning(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("fine-tuning")
    group.add_argument(
        "--fine-tune",
        metavar="SCOPE",
        nargs="?",
        const="tail",
        help="train the network, too: tail, its last stages, or all of it (default: tail where given without SCOPE)",
    )
    group.add_argument("--budget", metavar="TIME", help="the best model in so much time, as 90s, 5m, 1h")
    group.add_argument("--epochs", type=int, metavar="N", help="passes over the photos (default: 10, with --budget 40)")
    group.add_argument("--batch-size", type=int, metavar="N", help="photos in a step (default: 32)")
    group.add_argument("--learning-rate", type=float, metavar="RATE", help="the highest (default: 0.0005)")
    group.add_argument("--weight-decay", type=float, metavar="RATE", help="of AdamW (default: 0.01)")
    group.add_argument("--dropout", type=float, metavar="SHARE", help="before the head (default: 0.2)")
    group.add_argument("--label-smoothing", type=float, metavar="SHARE", help="of each label (default: 0.1)")
    group.add_argument("--mix", type=float, metavar="ALPHA", help="mixup and cutmix (default: 0, none)")
    group.add_argument("--resume", action="store_true", default=False, help="go on with an interrupted run")
    group.add_argument("--tensorboard", metavar="DIR", help="write logs for TensorBoard")
