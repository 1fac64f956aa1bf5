"""The questions in docs/pipeline_health.md find something, and the same everywhere."""

import re
from pathlib import Path

import pytest

from integration_tests.health.warehouse import Warehouse

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "pipeline_health.md"
QUESTIONS = dict(re.findall(r"### \d+\. (.+?)\n\n```sql\n(.*?)```", GUIDE.read_text(), re.DOTALL))
ZONES = ["America/Los_Angeles", "Asia/Tokyo"]


def test_there_are_twelve_questions() -> None:
    assert len(QUESTIONS) == 12


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_one_answer_everywhere(warehouses: dict[str, Warehouse], question: str) -> None:
    answers = [
        sorted(warehouse.ask(QUESTIONS[question], zone=zone), key=str)
        for warehouse in warehouses.values()
        for zone in ZONES
    ]
    assert answers[0]
    assert all(answer == answers[0] for answer in answers)
