// The logistic function. Where exp would overflow it is 0 to rounding, so x is kept above that.
vec4 sigmoid(vec4 x) { return 1.0 / (1.0 + exp(-max(x, -88.0))); }
