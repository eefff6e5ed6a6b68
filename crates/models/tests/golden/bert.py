"""Golden numbers of Hugging Face's BERT, small enough for a file.

Run as `python bert.py`; writes bert, bert_expected, bert_pretraining and bert_old beside itself. Versions: see golden.py;
also transformers 5.23.0.

`bert` holds `BertModel`'s weights, with the buffer `embeddings.position_ids` that older files have; `bert_pretraining`
the same encoder below `BertForPreTraining`'s heads; `bert_old` that with the names that the first files have.
`bert_expected`:
- `tokens`, `mask` (1 for a token), `token_types`: the input, as f32
- `eval.hidden`, `eval.pooled`: the outputs; `eval.embedding`: the normalised mean without padding;
  `eval.without_mask`: the hidden states if the tokens are all there is
- `coefficients.hidden`, `coefficients.pooled`: what the outputs are multiplied by to get the differentiated scalar
- `gradient.*`: gradients (matrices of linear layers transposed, as burn holds them; `qkv` side by side)
"""

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForPreTraining

from golden import HERE, randomize

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(1)
model = BertForPreTraining(BertConfig(
    vocab_size=23, max_position_embeddings=11, type_vocab_size=2, hidden_size=10, num_hidden_layers=2,
    num_attention_heads=2, intermediate_size=17, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    pad_token_id=None,
))
randomize(model, generator)
weights = {key: tensor.contiguous().clone() for key, tensor in model.state_dict().items()}
save_file(weights, HERE / "bert_pretraining.safetensors")
old = {key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
       for key, tensor in weights.items()}
save_file(old, HERE / "bert_old.safetensors")
encoder = {key.removeprefix("bert."): tensor for key, tensor in weights.items() if key.startswith("bert.")}
encoder["embeddings.position_ids"] = torch.arange(11)[None]
save_file(encoder, HERE / "bert.safetensors")

bert = model.bert.double().eval()
tokens = torch.randint(0, 23, (3, 7), generator=generator)
mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [1] * 1 + [0] * 6])
token_types = torch.randint(0, 2, (3, 7), generator=generator)
output = bert(input_ids=tokens, attention_mask=mask, token_type_ids=token_types)
hidden, pooled = output.last_hidden_state, output.pooler_output
shares = mask[..., None].double()
mean = (hidden * shares).sum(1) / shares.sum(1)
expected = {
    "tokens": tokens,
    "mask": mask,
    "token_types": token_types,
    "eval.hidden": hidden,
    "eval.pooled": pooled,
    "eval.embedding": torch.nn.functional.normalize(mean, dim=1),
    "eval.without_mask": bert(input_ids=tokens).last_hidden_state,
}
for key, tensor in [("hidden", hidden), ("pooled", pooled)]:
    expected[f"coefficients.{key}"] = torch.rand(tensor.shape, generator=generator).double() * 2 - 1
sum((tensor * expected[f"coefficients.{key}"]).sum() for key, tensor in [("hidden", hidden), ("pooled", pooled)]).backward()
expected["gradient.word_embeddings"] = bert.embeddings.word_embeddings.weight.grad
expected["gradient.token_type_embeddings"] = bert.embeddings.token_type_embeddings.weight.grad
attention = {name: parameter.grad for name, parameter in bert.encoder.layer[0].attention.named_parameters()}
qkv = [attention[f"self.{part}.weight"] for part in ["query", "key", "value"]]
expected["gradient.layer.0.qkv"] = torch.cat(qkv).T
expected["gradient.layer.1.intermediate"] = bert.encoder.layer[1].intermediate.dense.weight.grad.T
floats = {key: tensor.detach().float().contiguous() for key, tensor in expected.items()}
save_file(floats, HERE / "bert_expected.safetensors")
