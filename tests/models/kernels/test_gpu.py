import torch

from models.kernels.gpu import use_equal_kernels


def test_recurrent_kernels_and_products_have_one_precision(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(torch.backends.cudnn.rnn, "fp32_precision", "tf32")
    use_equal_kernels()
    assert torch.backends.cudnn.rnn.fp32_precision == "ieee"  # type: ignore[attr-defined]
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cuda.cudnn_sdp_enabled()
