"""The networks of the series: plain `nn.Module`s with shapes in the margin."""
