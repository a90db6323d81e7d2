# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of llm-compressor: one `oneshot` per model and scheme, saved compressed."""

import warnings

import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

warnings.filterwarnings("ignore")
import datasets  # noqa: E402
import llmcompressor  # noqa: E402
from llmcompressor import oneshot  # noqa: E402
from llmcompressor.modifiers.quantization import QuantizationModifier  # noqa: E402

import maker  # noqa: E402
from plan import LC_SCHEMES  # noqa: E402

KEPT_BF16 = ["lm_head", "re:.*mlp.gate$"]


def calibration(config):
    ids = [batch[0].tolist() for batch in maker.batches(config)]
    return datasets.Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]})


def tokenizer(config):
    """llm-compressor wants one even when the data set holds token ids."""
    words = Tokenizer(WordLevel({f"t{i}": i for i in range(config.vocab_size)}, unk_token="t0"))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="t0", pad_token="t0")


def export(original, preset, folder, variant):
    model = maker.load(original)
    rows = calibration(model.config)
    oneshot(
        model=model,
        dataset=rows,
        recipe=QuantizationModifier(ignore=KEPT_BF16, **LC_SCHEMES[preset]),
        processor=tokenizer(model.config),
        max_seq_length=len(rows[0]["input_ids"]),
        num_calibration_samples=len(rows),
    )
    model.save_pretrained(folder, save_compressed=True)


if __name__ == "__main__":
    maker.run("llmcompressor", llmcompressor.__version__, export)
