"""JoeyNMT's input files: the same sentences, the same SentencePiece model, the same sizes."""

from pathlib import Path
from typing import Any

import yaml

from datamodules import TranslationData
from datamodules.batch import SPECIAL_TOKENS
from datamodules.subword_tokenizer import SentencePieceTokenizer
from experiments.record.write import write_atomically
from experiments.speed.peers.sizes import DECODING, GRADIENT_CLIP, OPTIMISATION, SEED, SOURCE, TARGET, TEST_SET
from models.bahdanau import BahdanauSettings
from models.transformer import TransformerSettings

# Tokens a batch of its beam search, padding counted: for its Transformer 1,000 and 5,000 were no faster (two cores).
DECODING_TOKENS = 2500
NEVER = 10**8  # updates


def write_text(data: TranslationData, folder: Path) -> None:
    """Sentences of each split, vocabulary and SentencePiece model."""
    tokenizer = data.target_tokenizer
    assert isinstance(tokenizer, SentencePieceTokenizer)
    model = tokenizer.processor.serialized_model_proto()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spm.model").write_bytes(model)
    pieces = tokenizer.pieces(range(len(SPECIAL_TOKENS), len(tokenizer)))
    write_atomically(folder / "vocabulary.txt", lines(pieces))
    for split in ("train", "val", TEST_SET):
        text = data.text(split)
        write_atomically(folder / f"{split}.{SOURCE}", lines(text.source))
        write_atomically(folder / f"{split}.{TARGET}", lines(text.target))


def lines(texts: Any) -> str:
    return "".join(text + "\n" for text in texts)


def write_config(
    network: TransformerSettings | BahdanauSettings, data: TranslationData, updates: int, name: str, folder: Path
) -> Path:
    """JoeyNMT's configuration of a model, in the folder of `write_text`.

    Args:
        network: Sizes of our model; JoeyNMT's gets the same.
        data: With the token budget.
        updates: Updates between two lines of its log, which are the blocks of the comparison.
        name: Of the file.
        folder: Of the text.
    """
    model = transformer(network) if isinstance(network, TransformerSettings) else bahdanau(network)
    config = {
        "name": name,
        "joeynmt_version": "2.3.0",
        "model_dir": str(folder / name),
        "use_cuda": False,
        "fp16": False,
        "random_seed": SEED,
        "task": "MT",
        "data": text_section(data, folder),
        "training": training_section(data, updates),
        "testing": {
            "beam_size": DECODING.beam_size,
            "beam_alpha": DECODING.length_penalty,
            "batch_type": "token",
            "batch_size": DECODING_TOKENS,
            "max_output_length": -1,  # 1.5 x source length
            "eval_metrics": [],
        },
        "model": model,
    }
    path = folder / f"{name}.yaml"
    write_atomically(path, yaml.safe_dump(config, sort_keys=False))
    return path


def text_section(data: TranslationData, folder: Path) -> dict[str, Any]:
    def side(language: str) -> dict[str, Any]:
        return {
            "lang": language,
            "level": "bpe",
            "lowercase": False,
            "normalize": False,
            "min_length": 1,
            "max_length": data.max_length,
            "voc_file": str(folder / "vocabulary.txt"),
            "tokenizer_type": "sentencepiece",
            "tokenizer_cfg": {"model_file": str(folder / "spm.model"), "pretokenizer": "none"},
        }

    symbols = {"unk_token": "<unk>", "unk_id": 0, "pad_token": "<pad>", "pad_id": 1}
    symbols |= {"bos_token": "<s>", "bos_id": 2, "eos_token": "</s>", "eos_id": 3}
    return {
        "train": str(folder / "train"),
        "dev": str(folder / "val"),
        "test": str(folder / TEST_SET),
        "dataset_type": "plain",
        "src": side(SOURCE),
        "trg": side(TARGET),
        "special_symbols": symbols,
    }


def training_section(data: TranslationData, updates: int) -> dict[str, Any]:
    return {
        "optimizer": "adamw",
        "adam_betas": list(OPTIMISATION.betas),
        "weight_decay": OPTIMISATION.weight_decay,
        "learning_rate": OPTIMISATION.learning_rate,
        "learning_rate_min": 0.0,
        "learning_rate_warmup": OPTIMISATION.warmup_steps,
        "scheduling": "warmupinversesquareroot",
        "loss": "crossentropy",
        "label_smoothing": OPTIMISATION.label_smoothing,
        "normalization": "tokens",
        "batch_type": "token",
        "batch_size": data.max_tokens,
        "clip_grad_norm": GRADIENT_CLIP,
        "shuffle": True,
        "epochs": NEVER,
        "updates": NEVER,
        "validation_freq": updates * NEVER,
        "logging_freq": updates,
        "early_stopping_metric": "loss",
        "overwrite": True,
    }


def transformer(network: TransformerSettings) -> dict[str, Any]:
    def stack(layers: int) -> dict[str, Any]:
        return {
            "type": "transformer",
            "num_layers": layers,
            "num_heads": network.heads,
            "hidden_size": network.width,
            "ff_size": network.feed_forward,
            "dropout": network.dropout,
            "layer_norm": network.norm,
            "embeddings": {"embedding_dim": network.width, "scale": True, "dropout": 0.0},
        }

    return {
        "initializer": "xavier_uniform",
        "embed_initializer": "xavier_uniform",
        "tied_embeddings": network.tied,
        "tied_softmax": network.tied,
        "encoder": stack(network.encoder_layers),
        "decoder": stack(network.decoder_layers),
    }


def bahdanau(network: BahdanauSettings) -> dict[str, Any]:
    common = {
        "type": "recurrent",
        "rnn_type": "lstm",
        "num_layers": network.layers,
        "dropout": network.dropout,
        "embeddings": {"embedding_dim": network.embedding, "scale": False, "dropout": network.dropout},
    }
    decoder = {"hidden_dropout": network.dropout, "input_feeding": True, "init_hidden": "bridge"}
    return {
        "initializer": "xavier_uniform",
        "embed_initializer": "normal",
        "tied_embeddings": network.tied,
        "tied_softmax": network.tied,
        "encoder": {**common, "hidden_size": network.hidden // 2, "bidirectional": True},
        "decoder": {**common, **decoder, "hidden_size": network.hidden, "attention": "bahdanau"},
    }
