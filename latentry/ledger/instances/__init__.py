"""Instances: what a front API without job ids keeps of one API key, its options and its tasks.

AUTOMATIC1111's API speaks of *the* model, *the* progress, and interrupts *the* job. Each key has
those by itself.
"""

from latentry.ledger.instances.options import InstanceRef, get_options, set_options
from latentry.ledger.instances.previews import TaskPreview, keep_preview, watch
from latentry.ledger.instances.tasks import MAX_TASK_ID, Task, Tasks, enter_task, list_tasks

__all__ = [
    "MAX_TASK_ID",
    "InstanceRef",
    "Task",
    "TaskPreview",
    "Tasks",
    "enter_task",
    "get_options",
    "keep_preview",
    "list_tasks",
    "set_options",
    "watch",
]
