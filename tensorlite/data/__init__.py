"""tl.utils.data (and tl.data): datasets, samplers, collation and the DataLoader with its worker processes."""

from tensorlite.data.collate import default_collate, default_convert
from tensorlite.data.dataloader import DataLoader
from tensorlite.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from tensorlite.data.distributed import DistributedSampler
from tensorlite.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tensorlite.data.worker import WorkerInfo, get_worker_info

__all__ = [
    "Dataset", "IterableDataset", "TensorDataset", "StackDataset", "ConcatDataset", "ChainDataset", "Subset", "random_split",
    "Sampler", "SequentialSampler", "RandomSampler", "SubsetRandomSampler", "WeightedRandomSampler", "BatchSampler",
    "DistributedSampler", "default_collate", "default_convert", "DataLoader", "WorkerInfo", "get_worker_info",
]  # fmt: skip
