"""The fields of transformers' configs, as data: read, without effect, and defaults.

Transformers 5.23; `DEFAULTS` is compared with its classes in the tests.
"""

CONVS = ("conv_dim", "conv_kernel", "conv_stride")

_ENCODER = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "hidden_dropout": 0.1,
    "activation_dropout": 0.1,
    "attention_dropout": 0.1,
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.1,
    "layerdrop": 0.1,
    "apply_spec_augment": True,
    "mask_time_prob": 0.05,
    "mask_time_length": 10,
    "mask_time_min_masks": 2,
    "mask_feature_prob": 0.0,
    "mask_feature_length": 10,
    "mask_feature_min_masks": 0,
    "vocab_size": 32,
    "use_weighted_layer_sum": False,
    "classifier_proj_size": 256,
    "id2label": {0: "LABEL_0", 1: "LABEL_1"},
}
_ADAPTER = {
    "add_adapter": False,
    "adapter_kernel_size": 3,
    "adapter_stride": 2,
    "num_adapter_layers": 3,
    "output_hidden_size": None,
}
_WAVEFORM = {
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "conv_dim": (512, 512, 512, 512, 512, 512, 512),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2),
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
    "conv_bias": False,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "do_stable_layer_norm": False,
}
_BERT = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "hidden_act": "swish",
    "hidden_dropout": 0.0,
    "activation_dropout": 0.0,
    "attention_dropout": 0.0,
    "vocab_size": None,
    "classifier_proj_size": 768,
    "num_adapter_layers": 1,
    "adapter_act": "relu",
    "use_intermediate_ffn_before_adapter": False,
    "feature_projection_input_dim": 160,
    "position_embeddings_type": "relative_key",
    "rotary_embedding_base": 10000,
    "left_max_position_embeddings": 64,
    "right_max_position_embeddings": 8,
    "conv_depthwise_kernel_size": 31,
    "conformer_conv_dropout": 0.1,
}

# What the models read, with the value that transformers gives where it is absent.
_READ = {
    "wav2vec2-bert": {**_ENCODER, **_ADAPTER, **_BERT},
    "wav2vec2": {**_ENCODER, **_ADAPTER, **_WAVEFORM, "adapter_attn_dim": None},
    "hubert": {
        **_ENCODER,
        **_WAVEFORM,
        "feat_proj_layer_norm": True,
        "conv_pos_batch_norm": False,
    },
    "wavlm": {
        **_ENCODER,
        **_ADAPTER,
        **_WAVEFORM,
        "num_buckets": 320,
        "max_bucket_distance": 800,
    },
}
HANDLED = {
    kind: frozenset({*fields, "model_type", "num_labels"})
    for kind, fields in _READ.items()
}
# What no model reads, and which must therefore be what transformers has by default.
_UNREAD = {
    "chunk_size_feed_forward": 0,
    "is_encoder_decoder": False,
    "is_decoder": False,
    "add_cross_attention": False,
    "pruned_heads": {},
    "quantization_config": None,
    "add_adapter": False,
    "adapter_attn_dim": None,
    "feat_proj_layer_norm": True,
    "conv_pos_batch_norm": False,
}
DEFAULTS = {kind: {**_UNREAD, **fields} for kind, fields in _READ.items()}

_NAME = "says where the checkpoint is from"
_OUTPUT = "says what transformers returns; every hidden state is returned here"
_START = "only for random weights at the start"
_TOKENS = "for the tokeniser and the loss, not for the model"
_PRETRAINING = "only for the loss of pretraining"
_SPEAKER = "only for the head that tells speakers, which is not built"
_FAIRSEQ = "left over from fairseq; transformers does not read it"
_LENGTH = "positions are made for any length"
INERT = {
    "_name_or_path": _NAME,
    "_commit_hash": _NAME,
    "architectures": _NAME,
    "auto_map": _NAME,
    "transformers_version": _NAME,
    "tokenizer_class": _TOKENS,
    "processor_class": _TOKENS,
    "feature_extractor_type": _TOKENS,
    "dtype": "arrays have the type that they are loaded in",
    "torch_dtype": "arrays have the type that they are loaded in",
    "torchscript": _OUTPUT,
    "return_dict": _OUTPUT,
    "use_return_dict": _OUTPUT,
    "output_hidden_states": _OUTPUT,
    "output_attentions": _OUTPUT,
    "use_cache": _OUTPUT,
    "attn_implementation": "another way to the same numbers",
    "_attn_implementation": "another way to the same numbers",
    "_attn_implementation_autoset": "another way to the same numbers",
    "gradient_checkpointing": "another way to the same numbers; see remat",
    "initializer_range": _START,
    "label2id": _TOKENS,
    "problem_type": _TOKENS,
    "pad_token_id": _TOKENS,
    "bos_token_id": _TOKENS,
    "eos_token_id": _TOKENS,
    "ctc_loss_reduction": _TOKENS,
    "ctc_zero_infinity": _TOKENS,
    "num_ctc_classes": _PRETRAINING,
    "num_codevectors_per_group": _PRETRAINING,
    "num_codevector_groups": _PRETRAINING,
    "contrastive_logits_temperature": _PRETRAINING,
    "num_negatives": _PRETRAINING,
    "codevector_dim": _PRETRAINING,
    "proj_codevector_dim": _PRETRAINING,
    "diversity_loss_weight": _PRETRAINING,
    "feat_quantizer_dropout": _PRETRAINING,
    "replace_prob": _PRETRAINING,
    "tdnn_dim": _SPEAKER,
    "tdnn_kernel": _SPEAKER,
    "tdnn_dilation": _SPEAKER,
    "xvector_output_dim": _SPEAKER,
    "max_source_positions": _LENGTH,
    "num_feat_extract_layers": "the length of conv_dim",
    "feat_extract_dropout": _FAIRSEQ,
    "freeze_feat_extract_train": _FAIRSEQ,
    "hidden_dropout_prob": _FAIRSEQ,
    "mask_channel_length": _FAIRSEQ,
    "mask_channel_min_space": _FAIRSEQ,
    "mask_channel_other": _FAIRSEQ,
    "mask_channel_prob": _FAIRSEQ,
    "mask_channel_selection": _FAIRSEQ,
    "mask_time_min_space": _FAIRSEQ,
    "mask_time_other": _FAIRSEQ,
    "mask_time_selection": _FAIRSEQ,
    "no_mask_channel_overlap": _FAIRSEQ,
    "no_mask_time_overlap": _FAIRSEQ,
}
