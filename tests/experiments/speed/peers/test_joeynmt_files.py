from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import yaml

from datamodules import TranslationData
from datamodules.batch import SPECIAL_TOKENS
from experiments.speed.peers import sizes
from experiments.speed.peers.joeynmt_files import write_config, write_text
from tests.support.tiny_peers import peer_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TranslationData:
    return peer_data(tmp_path_factory.mktemp("data"))


def config_of(model: str, data: TranslationData, folder: Path, dropout: float = 0.3) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(write_config(model, dropout, data, 20, model, folder).read_text())
    return content


def test_it_reads_the_same_sentences_with_the_same_pieces(data: TranslationData, tmp_path: Path) -> None:
    write_text(data, tmp_path)
    for split in ("train", "val", sizes.TEST_SET):
        assert (tmp_path / f"{split}.en").read_text().split("\n")[:-1] == list(data.text(split).source)
        assert (tmp_path / f"{split}.de").read_text().split("\n")[:-1] == list(data.text(split).target)
    sentence = data.text("val").target[0]
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spm.model"))
    assert theirs.encode(sentence) == data.target_tokenizer.encode(sentence)
    vocabulary = (tmp_path / "vocabulary.txt").read_text().split("\n")[:-1]
    assert len(vocabulary) + len(SPECIAL_TOKENS) == data.target_vocab_size
    assert set(theirs.encode(sentence, out_type=str)) <= set(vocabulary)
    assert not set(SPECIAL_TOKENS) & set(vocabulary)


@pytest.mark.parametrize("model", sizes.SYSTEMS)
def test_files_exist_and_budget_optimisation_and_search_are_ours(
    model: str, data: TranslationData, tmp_path: Path
) -> None:
    write_text(data, tmp_path)
    config = config_of(model, data, tmp_path)
    section, training, testing = config["data"], config["training"], config["testing"]
    for side in ("src", "trg"):
        for split in ("train", "dev", "test"):
            assert Path(f"{section[split]}.{section[side]['lang']}").exists()
        assert Path(section[side]["voc_file"]).exists()
        assert Path(section[side]["tokenizer_cfg"]["model_file"]).exists()
    assert (training["batch_type"], training["batch_size"]) == ("token", data.max_tokens)
    assert training["learning_rate"] == sizes.OPTIMISATION.learning_rate
    assert training["label_smoothing"] == sizes.OPTIMISATION.label_smoothing
    assert training["clip_grad_norm"] == sizes.GRADIENT_CLIP
    assert training["logging_freq"] == 20
    assert training["validation_freq"] % 20 == 0  # JoeyNMT refuses others
    assert (testing["beam_size"], testing["beam_alpha"]) == (sizes.DECODING.beam_size, sizes.DECODING.length_penalty)
    assert config["use_cuda"] is False


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_models_sizes_are_ours(data: TranslationData, tmp_path: Path, dropout: float) -> None:
    ours, model = sizes.transformer(dropout), config_of("transformer", data, tmp_path, dropout)["model"]
    for name, layers in (("encoder", ours.encoder_layers), ("decoder", ours.decoder_layers)):
        stack = model[name]
        assert (stack["num_layers"], stack["hidden_size"], stack["ff_size"]) == (layers, ours.width, ours.feed_forward)
        assert (stack["num_heads"], stack["dropout"], stack["layer_norm"]) == (ours.heads, dropout, ours.norm)
        assert stack["embeddings"]["embedding_dim"] == ours.width
    assert (model["tied_embeddings"], model["tied_softmax"]) == (ours.tied, ours.tied)
    lstm, model = sizes.bahdanau(dropout), config_of("bahdanau", data, tmp_path, dropout)["model"]
    encoder, decoder = model["encoder"], model["decoder"]
    assert (2 * encoder["hidden_size"], encoder["bidirectional"]) == (lstm.hidden, True)
    assert (decoder["hidden_size"], decoder["attention"], decoder["input_feeding"]) == (lstm.hidden, "bahdanau", True)
    for stack in (encoder, decoder):
        assert (stack["rnn_type"], stack["num_layers"], stack["dropout"]) == ("lstm", lstm.layers, dropout)
        assert stack["embeddings"]["embedding_dim"] == lstm.embedding
