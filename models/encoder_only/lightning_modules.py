"""The LightningModules of encoders alone."""

from models.embedding import Vocabularies
from models.encoder_only.recurrent import EncoderOnlyRecurrentNetwork, EncoderOnlyRecurrentSettings
from models.encoder_only.transformer import EncoderOnlyTransformerNetwork, EncoderOnlyTransformerSettings
from models.lightning_modules import Optimisation, Seq2SeqModule


class EncoderOnlyTransformer(Seq2SeqModule):
    """A state for each source token by self-attention, read at a place.

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
        network: EncoderOnlyTransformerSettings = EncoderOnlyTransformerSettings(),  # noqa: B008
        optimisation: Optimisation = Optimisation(),  # noqa: B008
    ) -> None:
        vocabularies = Vocabularies(source_vocabulary, target_vocabulary, shared_vocabulary)
        super().__init__(EncoderOnlyTransformerNetwork(vocabularies, network), optimisation)


class EncoderOnlyRecurrent(Seq2SeqModule):
    """A state for each source token by recurrence in both directions, read at a place.

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
        network: EncoderOnlyRecurrentSettings = EncoderOnlyRecurrentSettings(),  # noqa: B008
        optimisation: Optimisation = Optimisation(),  # noqa: B008
    ) -> None:
        vocabularies = Vocabularies(source_vocabulary, target_vocabulary, shared_vocabulary)
        super().__init__(EncoderOnlyRecurrentNetwork(vocabularies, network), optimisation)
