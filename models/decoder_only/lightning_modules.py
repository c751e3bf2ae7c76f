"""The LightningModules whose source and target are one stream."""

from models.decoder_only.attention import DecoderOnlyAttentionNetwork, DecoderOnlyAttentionSettings
from models.decoder_only.recurrent import DecoderOnlyRecurrentNetwork, DecoderOnlyRecurrentSettings
from models.decoder_only.transformer import DecoderOnlyTransformerNetwork, DecoderOnlyTransformerSettings
from models.embedding import Vocabularies
from models.lightning_modules import Optimisation, Seq2SeqModule


class DecoderOnlyTransformer(Seq2SeqModule):
    """Source and target as one stream, without recurrence.

    Args:
        source_vocabulary: Size of the source's vocabulary; taken from the data.
        target_vocabulary: Size of the target's; taken from the data.
        shared_vocabulary: Whether source and target share their ids; taken from the data.
        network: Size and variants.
        optimisation: How it is trained.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        shared_vocabulary: bool = False,
        network: DecoderOnlyTransformerSettings = DecoderOnlyTransformerSettings(),  # noqa: B008
        optimisation: Optimisation = Optimisation(),  # noqa: B008
    ) -> None:
        vocabularies = Vocabularies(source_vocabulary, target_vocabulary, shared_vocabulary)
        super().__init__(DecoderOnlyTransformerNetwork(vocabularies, network), optimisation)


class DecoderOnlyRecurrent(Seq2SeqModule):
    """Source and target as one stream, by recurrence alone.

    Args:
        source_vocabulary: Size of the source's vocabulary; taken from the data.
        target_vocabulary: Size of the target's; taken from the data.
        shared_vocabulary: Whether source and target share their ids; taken from the data.
        network: Size and cell.
        optimisation: How it is trained.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        shared_vocabulary: bool = False,
        network: DecoderOnlyRecurrentSettings = DecoderOnlyRecurrentSettings(),  # noqa: B008
        optimisation: Optimisation = Optimisation(),  # noqa: B008
    ) -> None:
        vocabularies = Vocabularies(source_vocabulary, target_vocabulary, shared_vocabulary)
        super().__init__(DecoderOnlyRecurrentNetwork(vocabularies, network), optimisation)


class DecoderOnlyAttention(Seq2SeqModule):
    """Source and target as one stream, by an LSTM that attends to its own past.

    Args:
        source_vocabulary: Size of the source's vocabulary; taken from the data.
        target_vocabulary: Size of the target's; taken from the data.
        shared_vocabulary: Whether source and target share their ids; taken from the data.
        network: Size and attention.
        optimisation: How it is trained.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        shared_vocabulary: bool = False,
        network: DecoderOnlyAttentionSettings = DecoderOnlyAttentionSettings(),  # noqa: B008
        optimisation: Optimisation = Optimisation(),  # noqa: B008
    ) -> None:
        vocabularies = Vocabularies(source_vocabulary, target_vocabulary, shared_vocabulary)
        super().__init__(DecoderOnlyAttentionNetwork(vocabularies, network), optimisation)
