"""What docs/hrm.md says is so: its commands are configurations, its figures are those of the golden values, and the
metrics it names are those that a training writes."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path

from nyx.config import HrmConfig
from nyx.configload import load_config
from nyx.nn.hrm_act import ActHrm
from nyx.training.segments import Carry
from tests.golden import hrm_recipe

TEXT = (Path(__file__).parents[2] / "docs/hrm.md").read_text(encoding="utf-8")


def test_its_commands_are_configurations() -> None:
    commands = re.findall(r"^    (nyx train my.txt .*)$", TEXT.replace("\\\n", ""), re.M)
    assert len(commands) == 4
    for command in commands:
        words = shlex.split(command)
        values = {flag: [b for a, b in pairwise(words) if a == flag] for flag in ("--config", "--set")}
        assert words[:3] == ["nyx", "train", "my.txt"] and len(words) == 3 + 2 * sum(map(len, values.values()))
        config = load_config(values["--config"], values["--set"])
        assert isinstance(config.model, HrmConfig) and config.train.max_steps
        assert config.train.ema_decay**config.train.max_steps < 0.01, "an average that has forgotten its start"


def test_its_figures_are_the_golden_ones() -> None:
    recipe = json.loads(hrm_recipe.FILE.read_text())
    by_most = {case["most"]: case for case in recipe["exploration"] if case["chance"] == 0.1}
    figures = [f"{by_most[m][f'mean_by_{what}']:.3f}" for m in (16, 8) for what in ("row", "segment")]
    assert figures == re.findall(r"\b[12]\.\d{3}\b", TEXT.split("The two ways to explore", 1)[1].split("\n\n", 1)[0])
    assert f"{recipe['adam_atan2']['first_update_in_rates']:.5f} times the rate" in TEXT
    for variant, figure in (("text", "widened by 1.01476"), ("act", "widened by 1.13685")):
        assert figure == f"widened by {recipe['start_values'][variant]['factor']:.5f}" and figure in TEXT
    assert f"{0.9999**2000:.0%}".replace("%", " %") in TEXT


def test_it_names_every_metric_of_a_training() -> None:
    named = set(re.findall(r"`(train/\w+)`", TEXT))
    model = ActHrm(HrmConfig(variant="act", n_embd=16, n_head=2, block_size=4, halt_max_steps=2), 5)
    assert named == {"train/loss", *Carry(model, 2, 4, seed=1).measures()}
