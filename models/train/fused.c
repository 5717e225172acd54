/* The element-wise half of a training step, each stretch in one pass over bfloat16 data; fused.py compiles and calls it.
 * PyTorch spends more time in these than in the matrix products when every multiply is a pass of its own. */
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;

static inline float up(bf16 v) {
  union { uint32_t u; float f; } c = {(uint32_t)v << 16};
  return c.f;
}

static inline bf16 down(float v) { /* to nearest, ties to even */
  union { float f; uint32_t u; } c = {v};
  return (bf16)((c.u + 0x7fff + ((c.u >> 16) & 1)) >> 16);
}

/* ---- residual + norm: x' = x + y, h = norm(x') * w (+ b) --------------------------------------------------------- */

/* y may be null. `b` null means RMS norm (no mean). stats holds mean and 1/deviation of each row. */
void add_norm(long rows, long d, const float *x, const bf16 *y, const float *w, const float *b, float *sum, bf16 *h, float *stats) {
  for (long i = 0; i < rows; i++) {
    const float *row = x + i * d;
    if (y) {
      float *s = sum + i * d;
      for (long j = 0; j < d; j++) s[j] = row[j] + up(y[i * d + j]);
      row = s;
    }
    float mean = 0, square = 0;
    for (long j = 0; j < d; j++) { mean += row[j]; square += row[j] * row[j]; }
    mean = b ? mean / d : 0;
    float inverse = 1 / sqrtf(fmaxf(square / d - mean * mean, 0) + 1e-6f);
    stats[2 * i] = mean, stats[2 * i + 1] = inverse;
    if (b) for (long j = 0; j < d; j++) h[i * d + j] = down((row[j] - mean) * inverse * w[j] + b[j]);
    else for (long j = 0; j < d; j++) h[i * d + j] = down(row[j] * inverse * w[j]);
  }
}

/* dsum: gradient arriving at x' from later blocks. -> dx (f32) and dy (bf16, may be null); dw, db are added to. */
void add_norm_back(long rows, long d, const float *sum, const float *stats, const float *w, int centred, const float *dsum, const bf16 *dh,
                   float *dx, bf16 *dy, float *dw, float *db) {
  for (long i = 0; i < rows; i++) {
    const float *s = sum + i * d, mean = stats[2 * i], inverse = stats[2 * i + 1];
    const bf16 *g = dh + i * d;
    float a = 0, c = 0;
    for (long j = 0; j < d; j++) {
      float n = (s[j] - mean) * inverse, gj = up(g[j]), gw = gj * w[j];
      a += gw, c += gw * n;
      dw[j] += gj * n, db[j] += gj;
    }
    a = centred ? a / d : 0, c /= d;
    for (long j = 0; j < d; j++) {
      float n = (s[j] - mean) * inverse;
      dx[i * d + j] = dsum[i * d + j] + (up(g[j]) * w[j] - a - n * c) * inverse;
    }
    if (dy) for (long j = 0; j < d; j++) dy[i * d + j] = down(dx[i * d + j]);
  }
}

/* ---- heads: [b, n, (hq + 2 hk) * HEAD] -> q [b, hq, n, HEAD] turned and scaled, k, v [b, hq, n, HEAD] repeated --- */

/* The loops over one head are a vector long: with the length known they are straight code. */
#define HEAD 32
#define HALF (HEAD / 2)

static inline void turn(const bf16 *restrict from, bf16 *restrict to, const float *cos, const float *sin, float scale) {
  for (long j = 0; j < HALF; j++) {
    float p = up(from[j]), q = up(from[j + HALF]);
    to[j] = down((p * cos[j] - q * sin[j]) * scale);
    to[j + HALF] = down((q * cos[j] + p * sin[j]) * scale);
  }
}

void split_heads(long b, long n, long hq, long hk, const bf16 *qkv, const float *cos, const float *sin, float scale, bf16 *q, bf16 *k, bf16 *v) {
  long repeat = hq / hk;
  for (long i = 0; i < b; i++)
    for (long t = 0; t < n; t++) {
      const bf16 *row = qkv + (i * n + t) * (hq + 2 * hk) * HEAD;
      for (long h = 0; h < hq; h++) {
        long at = ((i * hq + h) * n + t) * HEAD;
        const bf16 *kr = row + (hq + h / repeat) * HEAD, *vr = row + (hq + hk + h / repeat) * HEAD;
        turn(row + h * HEAD, q + at, cos + t * HALF, sin + t * HALF, scale);
        turn(kr, k + at, cos + t * HALF, sin + t * HALF, 1);
        memcpy(v + at, vr, HEAD * sizeof *v);
      }
    }
}

static inline void turn_back(const bf16 *restrict from, float *restrict to, const float *cos, const float *sin, float scale) {
  for (long j = 0; j < HALF; j++) {
    float p = up(from[j]) * scale, q = up(from[j + HALF]) * scale;
    to[j] += p * cos[j] + q * sin[j];
    to[j + HALF] += q * cos[j] - p * sin[j];
  }
}

void split_heads_back(long b, long n, long hq, long hk, const bf16 *dq, const bf16 *dk, const bf16 *dv, const float *cos, const float *sin,
                      float scale, bf16 *dqkv) {
  long repeat = hq / hk, width = (hq + 2 * hk) * HEAD;
  float acc[1024];
  for (long i = 0; i < b; i++)
    for (long t = 0; t < n; t++) {
      for (long j = 0; j < width; j++) acc[j] = 0;
      for (long h = 0; h < hq; h++) {
        long at = ((i * hq + h) * n + t) * HEAD;
        turn_back(dq + at, acc + h * HEAD, cos + t * HALF, sin + t * HALF, scale);
        turn_back(dk + at, acc + (hq + h / repeat) * HEAD, cos + t * HALF, sin + t * HALF, 1);
        float *av = acc + (hq + hk + h / repeat) * HEAD;
        for (long j = 0; j < HEAD; j++) av[j] += up(dv[at + j]);
      }
      bf16 *row = dqkv + (i * n + t) * width;
      for (long j = 0; j < width; j++) row[j] = down(acc[j]);
    }
}

/* [b, h, n, HEAD] <-> [b, n, h, HEAD] */
void swap_middle(long b, long h, long n, const bf16 *from, bf16 *to) {
  for (long i = 0; i < b; i++)
    for (long k = 0; k < h; k++)
      for (long t = 0; t < n; t++) {
        memcpy(to + ((i * n + t) * h + k) * HEAD, from + ((i * h + k) * n + t) * HEAD, HEAD * sizeof *to);
      }
}

/* ---- softmax over the last of [rows, n]; causal: row r of each n x n square sees the first r % n + 1 ------------- */

void softmax(long rows, long n, int causal, bf16 *s) {
  for (long i = 0; i < rows; i++) {
    bf16 *r = s + i * n;
    long m = causal ? i % n + 1 : n;
    float top = -1e30f, total = 0, e[2048];
    for (long j = 0; j < m; j++) { e[j] = up(r[j]); top = fmaxf(top, e[j]); }
    for (long j = m; j < (m + 15) / 16 * 16; j++) e[j] = top; /* whole vectors: expf has no quick remainder */
    for (long j = 0; j < (m + 15) / 16 * 16; j++) e[j] = expf(e[j] - top);
    for (long j = 0; j < m; j++) total += e[j];
    total = 1 / total;
    for (long j = 0; j < m; j++) r[j] = down(e[j] * total);
    for (long j = m; j < n; j++) r[j] = 0;
  }
}

/* dp becomes the gradient of the scores. */
void softmax_back(long rows, long n, const bf16 *p, bf16 *dp) {
  for (long i = 0; i < rows; i++) {
    const bf16 *pr = p + i * n;
    bf16 *dr = dp + i * n;
    float dot = 0;
    for (long j = 0; j < n; j++) dot += up(pr[j]) * up(dr[j]);
    for (long j = 0; j < n; j++) dr[j] = down(up(pr[j]) * (up(dr[j]) - dot));
  }
}

/* ---- activations -------------------------------------------------------------------------------------------------- */

void quick_gelu(long n, const bf16 *x, bf16 *y) {
  for (long i = 0; i < n; i++) { float v = up(x[i]); y[i] = down(v / (1 + expf(-1.702f * v))); }
}

void quick_gelu_back(long n, const bf16 *x, bf16 *dy) {
  for (long i = 0; i < n; i++) {
    float v = up(x[i]), s = 1 / (1 + expf(-1.702f * v));
    dy[i] = down(up(dy[i]) * s * (1 + 1.702f * v * (1 - s)));
  }
}

/* gu: rows of [gate f | up f] */
void swiglu(long rows, long f, const bf16 *gu, bf16 *y) {
  for (long i = 0; i < rows; i++) {
    const bf16 *g = gu + i * 2 * f, *u = g + f;
    for (long j = 0; j < f; j++) { float v = up(g[j]); y[i * f + j] = down(v / (1 + expf(-v)) * up(u[j])); }
  }
}

void swiglu_back(long rows, long f, const bf16 *gu, const bf16 *dy, bf16 *dgu) {
  for (long i = 0; i < rows; i++) {
    const bf16 *g = gu + i * 2 * f, *u = g + f;
    bf16 *dg = dgu + i * 2 * f, *du = dg + f;
    for (long j = 0; j < f; j++) {
      float v = up(g[j]), s = 1 / (1 + expf(-v)), d = up(dy[i * f + j]);
      dg[j] = down(d * up(u[j]) * s * (1 + v * (1 - s)));
      du[j] = down(d * v * s);
    }
  }
}

/* ---- convolution module of a conformer: [b, n, 2c] values | gates -> values * sigmoid(gates), depthwise over n, silu -- */

void gate(long rows, long c, const bf16 *both, bf16 *y) {
  for (long i = 0; i < rows; i++) {
    const bf16 *v = both + i * 2 * c, *g = v + c;
    for (long j = 0; j < c; j++) y[i * c + j] = down(up(v[j]) / (1 + expf(-up(g[j]))));
  }
}

void gate_back(long rows, long c, const bf16 *both, const bf16 *dy, bf16 *d) {
  for (long i = 0; i < rows; i++) {
    const bf16 *v = both + i * 2 * c, *g = v + c;
    bf16 *dv = d + i * 2 * c, *dg = dv + c;
    for (long j = 0; j < c; j++) {
      float s = 1 / (1 + expf(-up(g[j]))), e = up(dy[i * c + j]);
      dv[j] = down(e * s);
      dg[j] = down(e * up(v[j]) * s * (1 - s));
    }
  }
}

/* w: [taps, c]; zeros beyond both ends. z is the sum, y = silu(z). c <= 1024. */
void depthwise(long b, long n, long c, long taps, const bf16 *x, const float *w, const float *bias, bf16 *z, bf16 *y) {
  float acc[1024];
  for (long i = 0; i < b; i++)
    for (long t = 0; t < n; t++) {
      for (long j = 0; j < c; j++) acc[j] = bias[j];
      for (long k = 0; k < taps; k++) {
        long at = t + k - taps / 2;
        if (at < 0 || at >= n) continue;
        const bf16 *row = x + (i * n + at) * c;
        for (long j = 0; j < c; j++) acc[j] += up(row[j]) * w[k * c + j];
      }
      for (long j = 0; j < c; j++) {
        z[(i * n + t) * c + j] = down(acc[j]);
        y[(i * n + t) * c + j] = down(acc[j] / (1 + expf(-acc[j])));
      }
    }
}

/* dz is scratch of the size of z; dw and dbias are added to. */
void depthwise_back(long b, long n, long c, long taps, const bf16 *x, const float *w, const bf16 *z, const bf16 *dy, float *dz, bf16 *dx,
                    float *dw, float *dbias) {
  float acc[1024];
  for (long i = 0; i < b * n; i++)
    for (long j = 0; j < c; j++) {
      float v = up(z[i * c + j]), s = 1 / (1 + expf(-v));
      dz[i * c + j] = up(dy[i * c + j]) * s * (1 + v * (1 - s));
      dbias[j] += dz[i * c + j];
    }
  for (long i = 0; i < b; i++)
    for (long t = 0; t < n; t++) {
      for (long j = 0; j < c; j++) acc[j] = 0;
      const bf16 *own = x + (i * n + t) * c;
      for (long k = 0; k < taps; k++) {
        long at = t - k + taps / 2; /* the sums that tap k carries this row into */
        if (at < 0 || at >= n) continue;
        const float *g = dz + (i * n + at) * c;
        for (long j = 0; j < c; j++) {
          acc[j] += g[j] * w[k * c + j];
          dw[k * c + j] += g[j] * up(own[j]);
        }
      }
      for (long j = 0; j < c; j++) dx[(i * n + t) * c + j] = down(acc[j]);
    }
}

void silu(long n, const bf16 *x, bf16 *y) {
  for (long i = 0; i < n; i++) { float v = up(x[i]); y[i] = down(v / (1 + expf(-v))); }
}

void silu_back(long n, const bf16 *x, bf16 *dy) {
  for (long i = 0; i < n; i++) {
    float v = up(x[i]), s = 1 / (1 + expf(-v));
    dy[i] = down(up(dy[i]) * s * (1 + v * (1 - s)));
  }
}

/* Scores by distance -> by key: row i of [n, 2n - 1] holds distances n - 1 .. 1 - n; key j is i - j away. s += them. */
void add_distances(long squares, long n, const bf16 *by_distance, bf16 *s) {
  for (long r = 0; r < squares * n; r++) {
    long i = r % n;
    const bf16 *from = by_distance + r * (2 * n - 1) + n - 1 - i;
    for (long j = 0; j < n; j++) s[r * n + j] = down(up(s[r * n + j]) + up(from[j]));
  }
}

void add_distances_back(long squares, long n, const bf16 *ds, bf16 *d) {
  for (long r = 0; r < squares * n; r++) {
    long i = r % n;
    bf16 *to = d + r * (2 * n - 1);
    for (long j = 0; j < 2 * n - 1; j++) to[j] = 0;
    for (long j = 0; j < n; j++) to[n - 1 - i + j] = ds[r * n + j];
  }
}

/* ---- AdamW (arXiv:1711.05101), one pass; the gradients are taken times `scale` and left at zero -------------------- */

/* first, second: 1 - beta^step of the two moments */
void adamw(long n, float *w, float *g, float *m, float *v, float rate, float decay, float scale, float beta1, float beta2, float first, float second) {
  for (long i = 0; i < n; i++) {
    float d = g[i] * scale;
    m[i] = beta1 * m[i] + (1 - beta1) * d;
    v[i] = beta2 * v[i] + (1 - beta2) * d * d;
    w[i] -= rate * (decay * w[i] + m[i] / first / (sqrtf(v[i] / second) + 1e-8f));
    g[i] = 0;
  }
}
