"""An empty torchvision: FedLab needs it for data sets alone, none of which is used here.

The real one must fit the build of torch exactly, and the one that pip finds beside a CPU build of torch does not load.
"""

import sys
from types import ModuleType

vision = ModuleType("torchvision")
vision.transforms = vision.datasets = ModuleType("torchvision.nothing")
sys.modules |= {"torchvision": vision, "torchvision.transforms": vision.transforms}
