// The arithmetic of the explorer, compiled to WebAssembly by `make kernels`.
//
// Every kernel has one signature, KERNEL(name): three inputs a, b, c (those that it does not have
// are null), the output, and a list of integers n whose meaning stands above it. Tensors are dense
// float32 with the last axis varying fastest. zoo/explorer/lowering.py writes the calls.
#define KERNEL(name) \
  __attribute__((export_name(#name))) void name(const float *a, const float *b, const float *c, \
                                                float *out, const int *n)
typedef float v4 __attribute__((vector_size(16), aligned(4)));
typedef int i4 __attribute__((vector_size(16), aligned(4)));
#define LOAD(p) (*(const v4 *)(p))
#define STORE(p, x) (*(v4 *)(p) = (x))
#define ALL(x) ((v4){(x), (x), (x), (x)})

// Where the packed columns of a product lie; products with more terms are not packed.
enum { PACKED_TERMS = 4096 };
static float packed[PACKED_TERMS * 8];

static v4 pick(i4 mask, v4 yes, v4 no) { return (v4)((mask & (i4)yes) | (~mask & (i4)no)); }
static v4 larger(v4 x, v4 y) { return pick(x > y, x, y); }
static v4 smaller(v4 x, v4 y) { return pick(x < y, x, y); }

static v4 v_exp(v4 x) {
  x = smaller(larger(x, ALL(-87.0f)), ALL(88.0f));
  v4 scaled = x * ALL(1.44269504f) + ALL(0.5f);
  i4 power = __builtin_convertvector(scaled, i4);
  power += (i4)(__builtin_convertvector(power, v4) > scaled);
  v4 whole = __builtin_convertvector(power, v4);
  x -= whole * ALL(0.693359375f);
  x -= whole * ALL(-2.12194440e-4f);
  v4 y = ALL(1.9875691500e-4f);
  y = y * x + ALL(1.3981999507e-3f);
  y = y * x + ALL(8.3334519073e-3f);
  y = y * x + ALL(4.1665795894e-2f);
  y = y * x + ALL(1.6666665459e-1f);
  y = y * x + ALL(5.0000001201e-1f);
  y = y * x * x + x + ALL(1.0f);
  return y * (v4)((power + 127) << 23);
}

static v4 v_log(v4 x) {
  v4 given = x;
  i4 bits = (i4)x;
  v4 exponent = __builtin_convertvector(((bits >> 23) & 255) - 126, v4);
  x = (v4)((bits & 0x007fffff) | 0x3f000000);
  i4 low = x < ALL(0.707106781f);
  exponent -= pick(low, ALL(1.0f), ALL(0.0f));
  x = x + pick(low, x, ALL(0.0f)) - ALL(1.0f);
  v4 z = x * x, y = ALL(7.0376836292e-2f);
  y = y * x + ALL(-1.1514610310e-1f);
  y = y * x + ALL(1.1676998740e-1f);
  y = y * x + ALL(-1.2420140846e-1f);
  y = y * x + ALL(1.4249322787e-1f);
  y = y * x + ALL(-1.6668057665e-1f);
  y = y * x + ALL(2.0000714765e-1f);
  y = y * x + ALL(-2.4999993993e-1f);
  y = y * x + ALL(3.3333331174e-1f);
  y = y * x * z + exponent * ALL(-2.12194440e-4f) - ALL(0.5f) * z;
  y = x + y + exponent * ALL(0.693359375f);
  y = pick(given == ALL(0.0f), ALL(-__builtin_inff()), y);
  return pick(given < ALL(0.0f), ALL(__builtin_nanf("")), y);
}

// A quotient of polynomials, that of Eigen and XLA: within 3e-7.
static v4 v_erf(v4 x) {
  x = smaller(larger(x, ALL(-4.0f)), ALL(4.0f));
  v4 z = x * x, p = ALL(-2.72614225801306e-10f), q = ALL(-1.45660718464996e-05f);
  p = p * z + ALL(2.77068142495902e-08f);
  p = p * z + ALL(-2.10102402082508e-06f);
  p = p * z + ALL(-5.69250639462346e-05f);
  p = p * z + ALL(-7.34990630326855e-04f);
  p = p * z + ALL(-2.95459980854025e-03f);
  p = p * z + ALL(-1.60960333262415e-02f);
  q = q * z + ALL(-2.13374055278905e-04f);
  q = q * z + ALL(-1.68282697438203e-03f);
  q = q * z + ALL(-7.37332916720468e-03f);
  q = q * z + ALL(-1.42647390514189e-02f);
  return x * p / q;
}

static v4 v_gelu(v4 x) { return x * (ALL(0.5f) + ALL(0.5f) * v_erf(x * ALL(0.707106781f))); }

static v4 v_sqrt(v4 x) {
  return (v4){__builtin_sqrtf(x[0]), __builtin_sqrtf(x[1]), __builtin_sqrtf(x[2]),
              __builtin_sqrtf(x[3])};
}

static v4 v_sigmoid(v4 x) { return ALL(1.0f) / (ALL(1.0f) + v_exp(-x)); }

static v4 v_tanh(v4 x) {
  // Near zero the quotient loses its digits.
  v4 size = larger(x, -x), e = v_exp(ALL(2.0f) * size);
  v4 far = ALL(1.0f) - ALL(2.0f) / (e + ALL(1.0f)), z = x * x;
  v4 near = x + x * z * (ALL(-1.0f / 3) + z * (ALL(2.0f / 15) - z * ALL(17.0f / 315)));
  return pick(size < ALL(0.2f), near, pick(x < ALL(0.0f), -far, far));
}

static v4 v_log1p(v4 x) {
  // Kahan's correction of the rounding of 1 + x.
  v4 u = ALL(1.0f) + x, d = u - ALL(1.0f);
  return pick(d == ALL(0.0f), x, v_log(u) * x / pick(d == ALL(0.0f), ALL(1.0f), d));
}

static v4 v_softplus(v4 x) {
  v4 size = larger(x, -x);
  return larger(x, ALL(0.0f)) + v_log1p(v_exp(-size));
}

enum { NEG, ABS, SQUARE, SQRT, RSQRT, RECIPROCAL, EXP, LOG, LOG1P, SIGMOID, TANH, SOFTPLUS, ERF,
       ERFC, RELU, LEAKY_RELU, ELU, SIGN, GELU };

// a: x. n: operation, count, bits of the slope. Each operation has a loop of its own: in one loop
// over all numbers the choice takes longer than many of them do. Tensors are padded to multiples of
// four numbers, so the last ones need no care.
KERNEL(unary) {
  v4 slope = ALL(((const float *)n)[2]), zero = ALL(0.0f), one = ALL(1.0f);
#define CASE(op, value)                   \
  case op:                                \
    for (int i = 0; i < n[1]; i += 4) {   \
      v4 x = LOAD(a + i);                 \
      STORE(out + i, value);              \
    }                                     \
    return;
  switch (n[0]) {
    CASE(NEG, -x)
    CASE(ABS, larger(x, -x))
    CASE(SQUARE, x * x)
    CASE(SQRT, v_sqrt(x))
    CASE(RSQRT, one / v_sqrt(x))
    CASE(RECIPROCAL, one / x)
    CASE(EXP, v_exp(x))
    CASE(LOG, v_log(x))
    CASE(LOG1P, v_log1p(x))
    CASE(SIGMOID, v_sigmoid(x))
    CASE(TANH, v_tanh(x))
    CASE(SOFTPLUS, v_softplus(x))
    CASE(ERF, v_erf(x))
    CASE(ERFC, one - v_erf(x))
    CASE(RELU, larger(x, zero))
    CASE(LEAKY_RELU, pick(x > zero, x, slope * x))
    CASE(ELU, pick(x > zero, x, v_exp(x) - one))
    CASE(SIGN, pick(x > zero, one, pick(x < zero, -one, zero)))
    CASE(GELU, v_gelu(x))
  }
}

// Of negative numbers whole powers only.
static v4 v_pow(v4 x, v4 y) {
  v4 size = v_exp(y * v_log(larger(x, -x)));
  i4 whole = __builtin_convertvector(y, i4);
  v4 odd = (v4)((whole & 1) << 31 ^ (i4)size);
  v4 negative = pick(__builtin_convertvector(whole, v4) == y, odd, ALL(__builtin_nanf("")));
  return pick(y == ALL(0.0f), ALL(1.0f), pick(x < ALL(0.0f), negative, size));
}

enum { ADD, SUB, MUL, DIV, MAX, MIN, SQUARED_DIFFERENCE, POW, GREATER, GREATER_EQUAL, EQUAL };

static v4 binary_of(int op, v4 x, v4 y) {
  v4 one = ALL(1.0f), zero = ALL(0.0f);
  switch (op) {
    case ADD: return x + y;
    case SUB: return x - y;
    case MUL: return x * y;
    case DIV: return x / y;
    case MAX: return larger(x, y);
    case MIN: return smaller(x, y);
    case SQUARED_DIFFERENCE: return (x - y) * (x - y);
    case POW: return v_pow(x, y);
    case GREATER: return pick(x > y, one, zero);
    case GREATER_EQUAL: return pick(x >= y, one, zero);
    case EQUAL: return pick(x == y, one, zero);
  }
  return x;
}

// The place in a tensor of row r of an index over the leading axes.
static int place(int r, int axes, const int *sizes, const int *strides) {
  int at = 0;
  for (int d = axes - 1; d >= 0; d--) at += r % sizes[d] * strides[d], r /= sizes[d];
  return at;
}

// a, b: with strides of zero where they are broadcast. n: operation, axes D, D sizes, D strides of
// a, D strides of b; the last strides are 0 or 1.
KERNEL(binary) {
  int op = n[0], axes = n[1], rows = 1;
  const int *sizes = n + 2, *of_a = sizes + axes, *of_b = of_a + axes;
  for (int d = 0; d < axes - 1; d++) rows *= sizes[d];
  int count = sizes[axes - 1], step_a = of_a[axes - 1], step_b = of_b[axes - 1];
  for (int r = 0; r < rows; r++, out += count) {
    const float *x = a + place(r, axes - 1, sizes, of_a), *y = b + place(r, axes - 1, sizes, of_b);
    int i = 0;
    for (; i + 4 <= count; i += 4)
      STORE(out + i, binary_of(op, step_a ? LOAD(x + i) : ALL(*x), step_b ? LOAD(y + i) : ALL(*y)));
    for (; i < count; i++) out[i] = binary_of(op, ALL(x[i * step_a]), ALL(y[i * step_b]))[0];
  }
}

// out = a ? b : c, all of one shape. n: count.
KERNEL(select) {
  for (int i = 0; i < n[0]; i++) out[i] = a[i] != 0.0f ? b[i] : c[i];
}

// Moves numbers: n: first place in a, first place in out, axes D, D sizes, D strides of a, D of
// out. A stride of a may be zero or negative.
KERNEL(copy) {
  int axes = n[2], rows = 1;
  const int *sizes = n + 3, *of_a = sizes + axes, *of_out = of_a + axes;
  for (int d = 0; d < axes - 1; d++) rows *= sizes[d];
  int count = sizes[axes - 1], step_a = of_a[axes - 1], step_out = of_out[axes - 1];
  for (int r = 0; r < rows; r++) {
    const float *x = a + n[0] + place(r, axes - 1, sizes, of_a);
    float *y = out + n[1] + place(r, axes - 1, sizes, of_out);
    if (step_a == 1 && step_out == 1) {
      int i = 0;
      for (; i + 4 <= count; i += 4) STORE(y + i, LOAD(x + i));
      for (; i < count; i++) y[i] = x[i];
    } else {
      for (int i = 0; i < count; i++) y[i * step_out] = x[i * step_a];
    }
  }
}

// n: count, bits of the value.
KERNEL(fill) {
  for (int i = 0; i < n[0]; i++) out[i] = ((const float *)n)[1];
}

enum { SUM, MEAN, LARGEST, SMALLEST, PRODUCT };

// [outer, reduced, inner] to [outer, inner]. n: operation, outer, reduced, inner.
KERNEL(reduce) {
  int op = n[0], outer = n[1], count = n[2], inner = n[3];
  for (int o = 0; o < outer; o++, a += count * inner, out += inner) {
    for (int i = 0; i < inner; i++) {
      float total = op == PRODUCT ? 1.0f : op < LARGEST ? 0.0f : a[i];
      // Four sums: a single one would add up its rounding.
      v4 parts = ALL(0.0f);
      int r = 0;
      if (op < LARGEST && inner == 1)
        for (; r + 4 <= count; r += 4) parts += LOAD(a + r);
      for (; r < count; r++) {
        float x = a[r * inner + i];
        if (op < LARGEST) total += x;
        else if (op == LARGEST) total = x > total ? x : total;
        else if (op == SMALLEST) total = x < total ? x : total;
        else total *= x;
      }
      total += parts[0] + parts[1] + (parts[2] + parts[3]);
      out[i] = op == MEAN ? total / count : total;
    }
  }
}

// Rows of a to rows of shares. n: rows, columns.
KERNEL(softmax) {
  int rows = n[0], count = n[1];
  for (int r = 0; r < rows; r++, a += count, out += count) {
    float most = a[0], total = 0.0f;
    for (int i = 1; i < count; i++) most = a[i] > most ? a[i] : most;
    int i = 0;
    for (; i + 4 <= count; i += 4) STORE(out + i, v_exp(LOAD(a + i) - ALL(most)));
    for (; i < count; i++) out[i] = v_exp(ALL(a[i] - most))[0];
    for (i = 0; i < count; i++) total += out[i];
    for (i = 0; i < count; i++) out[i] /= total;
  }
}

// a [outer, length, inner] at the places b to [outer, places, inner]. n: outer, length, inner,
// places.
KERNEL(take) {
  int outer = n[0], length = n[1], inner = n[2], places = n[3];
  for (int o = 0; o < outer; o++, a += length * inner)
    for (int p = 0; p < places; p++, out += inner) {
      int at = (int)b[p];
      at = at < 0 ? 0 : at >= length ? length - 1 : at;
      for (int i = 0; i < inner; i++) out[i] = a[at * inner + i];
    }
}

// Rows of 4 by 8 columns of a product, whose right matrix has rows `pitch` apart.
static void block(const float *a, const float *b, float *out, int rows, int k, int columns,
                  int pitch) {
  const float *a0 = a, *a1 = a + (rows > 1) * k, *a2 = a1 + (rows > 2) * k,
              *a3 = a2 + (rows > 3) * k;
  v4 s00 = ALL(0.0f), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
  for (int i = 0; i < k; i++, b += pitch) {
    v4 left = LOAD(b), right = LOAD(b + 4), x;
    x = ALL(a0[i]), s00 += x * left, s01 += x * right;
    x = ALL(a1[i]), s10 += x * left, s11 += x * right;
    x = ALL(a2[i]), s20 += x * left, s21 += x * right;
    x = ALL(a3[i]), s30 += x * left, s31 += x * right;
  }
  STORE(out, s00), STORE(out + 4, s01);
  if (rows > 1) STORE(out + columns, s10), STORE(out + columns + 4, s11);
  if (rows > 2) STORE(out + 2 * columns, s20), STORE(out + 2 * columns + 4, s21);
  if (rows > 3) STORE(out + 3 * columns, s30), STORE(out + 3 * columns + 4, s31);
}

// a [m, k] times b [k, columns].
static void product(const float *a, const float *b, float *out, int m, int k, int columns) {
  int whole = columns / 8 * 8;
  if (m == 1) {
    // One row: b is read once, row by row.
    for (int j = 0; j < columns; j++) out[j] = 0.0f;
    for (int i = 0; i < k; i++, b += columns) {
      v4 x = ALL(a[i]);
      if (a[i] == 0.0f) continue;
      int j = 0;
      for (; j + 4 <= columns; j += 4) STORE(out + j, LOAD(out + j) + x * LOAD(b + j));
      for (; j < columns; j++) out[j] += a[i] * b[j];
    }
    return;
  }
  for (int j = 0; j < whole; j += 8) {
    const float *right = b + j;
    int pitch = columns;
    if (m > 8 && k <= PACKED_TERMS) {
      for (int i = 0; i < k; i++) {
        STORE(packed + 8 * i, LOAD(right + i * columns));
        STORE(packed + 8 * i + 4, LOAD(right + i * columns + 4));
      }
      right = packed, pitch = 8;
    }
    for (int r = 0; r < m; r += 4)
      block(a + r * k, right, out + r * columns + j, m - r < 4 ? m - r : 4, k, columns, pitch);
  }
  for (int j = whole; j < columns; j++) {
    // A column by itself: dot products with it.
    const float *column = b + j;
    int pitch = columns;
    if (k <= PACKED_TERMS) {
      for (int i = 0; i < k; i++) packed[i] = b[i * columns + j];
      column = packed, pitch = 1;
    }
    for (int r = 0; r < m; r++) {
      const float *row = a + r * k;
      v4 parts = ALL(0.0f);
      float total = 0.0f;
      int i = 0;
      if (pitch == 1)
        for (; i + 4 <= k; i += 4) parts += LOAD(row + i) * LOAD(column + i);
      for (; i < k; i++) total += row[i] * column[i * pitch];
      out[r * columns + j] = total + parts[0] + parts[1] + (parts[2] + parts[3]);
    }
  }
}

// a [batch, m, k] times b [batch, k, columns], plus c [columns]. n: batch, m, k, columns, step of a
// from one product to the next, step of b, whether negative results become zero.
KERNEL(matmul) {
  int m = n[1], k = n[2], columns = n[3];
  for (int i = 0; i < n[0]; i++, out += m * columns) {
    product(a + i * n[4], b + i * n[5], out, m, k, columns);
    if (!c && !n[6]) continue;
    v4 floor = ALL(n[6] ? 0.0f : -__builtin_inff());
    for (int r = 0; r < m; r++) {
      float *row = out + r * columns;
      int j = 0;
      for (; j + 4 <= columns; j += 4)
        STORE(row + j, larger(c ? LOAD(row + j) + LOAD(c + j) : LOAD(row + j), floor));
      for (; j < columns; j++) {
        float x = c ? row[j] + c[j] : row[j];
        row[j] = n[6] && x < 0.0f ? 0.0f : x;
      }
    }
  }
}

// The patches of an image a [H, W, C], [h, w, sides, C], zero beyond its edges. n: H, W, C, h, w,
// kernel's height and width, stride down and across, padding above and left, dilation down and
// across.
KERNEL(patches) {
  int H = n[0], W = n[1], C = n[2];
  for (int y = 0; y < n[3]; y++)
    for (int x = 0; x < n[4]; x++)
      for (int i = 0; i < n[5]; i++)
        for (int j = 0; j < n[6]; j++, out += C) {
          int row = y * n[7] - n[9] + i * n[11], column = x * n[8] - n[10] + j * n[12];
          int inside = row >= 0 && row < H && column >= 0 && column < W;
          const float *from = a + (row * W + column) * C;
          for (int k = 0; k < C; k++) out[k] = inside ? from[k] : 0.0f;
        }
}

// Adds up patches a [h, w, sides, C] where they lie in an image [H, W, C], plus c [C]: what is
// beyond its edges is dropped. n: as `patches`, and whether negative results become zero.
KERNEL(overlap) {
  int H = n[0], W = n[1], C = n[2];
  for (int i = 0; i < H * W; i++)
    for (int k = 0; k < C; k++) out[i * C + k] = c ? c[k] : 0.0f;
  for (int y = 0; y < n[3]; y++)
    for (int x = 0; x < n[4]; x++)
      for (int i = 0; i < n[5]; i++)
        for (int j = 0; j < n[6]; j++, a += C) {
          int row = y * n[7] - n[9] + i * n[11], column = x * n[8] - n[10] + j * n[12];
          if (row < 0 || row >= H || column < 0 || column >= W) continue;
          float *to = out + (row * W + column) * C;
          int k = 0;
          for (; k + 4 <= C; k += 4) STORE(to + k, LOAD(to + k) + LOAD(a + k));
          for (; k < C; k++) to[k] += a[k];
        }
  if (n[13])
    for (int i = 0; i < H * W * C; i++) out[i] = out[i] > 0.0f ? out[i] : 0.0f;
}
