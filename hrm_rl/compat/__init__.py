"""The interfaces that code written for other HRM implementations expects, over the networks of this one.

They are frozen as others wrote them; new work uses hrm_rl.models.
"""

from hrm_rl.compat.act_v1 import ACTV1Carry, HRMACTv1
from hrm_rl.compat.continuous import DeepSupervisionTrainer, HierarchicalReasoningModel
from hrm_rl.compat.sparse import CastedSparseEmbedding, CastedSparseEmbeddingSignSGD_Distributed

__all__ = [
    "ACTV1Carry",
    "CastedSparseEmbedding",
    "CastedSparseEmbeddingSignSGD_Distributed",
    "DeepSupervisionTrainer",
    "HRMACTv1",
    "HierarchicalReasoningModel",
]
