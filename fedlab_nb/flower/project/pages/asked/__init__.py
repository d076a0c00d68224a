"""What the guide says of questions that owners of different columns have agreed on, one by one."""

from fedlab_nb.flower.project.pages.asked.across import of_questions, told_by_answers

__all__ = ["of_questions", "told_by_answers"]
