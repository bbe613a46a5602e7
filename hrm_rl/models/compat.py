"""`from hrm_rl.models.compat import HRMACTv1`: the name under which hrm_rl.compat is imported.

The one module of this folder that looks upwards: what it hands on uses the halting rules and optimisers above.
"""

from hrm_rl.compat import (
    ACTV1Carry,
    CastedSparseEmbedding,
    CastedSparseEmbeddingSignSGD_Distributed,
    DeepSupervisionTrainer,
    HierarchicalReasoningModel,
    HRMACTv1,
)

__all__ = [
    "ACTV1Carry",
    "CastedSparseEmbedding",
    "CastedSparseEmbeddingSignSGD_Distributed",
    "DeepSupervisionTrainer",
    "HRMACTv1",
    "HierarchicalReasoningModel",
]
