"""A record of a training with every part that a page shows, for report/test_model_page.py."""

import dataclasses

from model_maker.evaluation import Agreement, Answered
from model_maker.inference.precision_thresholds import Threshold
from model_maker.inference.training_report import (
    AnsweredFrom,
    CrossValidation,
    Epoch,
    FineTuning,
    Sizes,
    Thresholds,
    TrainingReport,
)


def everything(test, *path):
    """What `train` measured where nothing is left out; `path` are steps of cross-validation."""
    change = Agreement(10, 0.9, 0.25, 0.1, (-0.2, 0.4))
    chosen = {
        "all": Threshold(0.9, 0.62, 0.914, 50, 40, 38),
        "labels": {"cat": Threshold(0.8, 0.735, 0.5, 20, 10, 9)},
        "test": Answered(10, 9, 7 / 9, (0.453, 0.937)),
    }
    began = Epoch(phase="frozen", epoch=0, validation_loss=0.5, validation_top1=0.75)
    after = Epoch(phase="tail", epoch=1, loss=0.8, validation_loss=0.25, validation_top1=0.875)
    return TrainingReport(
        test=test,
        float_model=dataclasses.replace(test, top1=0.8, top1_interval=(0.49, 0.943)),
        agreement=change,
        cross_validation=CrossValidation(
            top1=0.875, regularization=0.1, temperature=1.0, layers="top", candidates={}, path=path
        ),
        photos={"train": 40, "validation": 8, "test": 10},
        trade_off=(AnsweredFrom(0.75, Answered(10, 6, 4 / 6, (0.3, 0.9))),),
        fingerprint="0123",
        thresholds=Thresholds(score=0.62, **chosen),
        kernels={},
        folds=None,
        budget=None,
        fine_tuning=FineTuning(True, 0.6, change, {}, (began, after)),
        advice=None,
        sizes=Sizes(3_957_394, 13_450_000),
    )
