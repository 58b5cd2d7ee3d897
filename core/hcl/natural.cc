#include "core/hcl/natural.h"

#include <algorithm>
#include <bit>

#include "core/check.h"

namespace sluice::hcl {

namespace {
constexpr size_t kLimbBits = 32;
}  // namespace

Natural::Natural(uint64_t value) {
  limbs_ = {static_cast<uint32_t>(value), static_cast<uint32_t>(value >> kLimbBits)};
  trim();
}

void Natural::trim() {
  while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
}

void Natural::multiply_add(uint32_t factor, uint32_t addend) {
  uint64_t carry = addend;
  for (uint32_t& limb : limbs_) {
    carry += static_cast<uint64_t>(limb) * factor;
    limb = static_cast<uint32_t>(carry);
    carry >>= kLimbBits;
  }
  if (carry != 0) limbs_.push_back(static_cast<uint32_t>(carry));
}

uint32_t Natural::divide_small(uint32_t divisor) {
  uint64_t rest = 0;
  for (size_t i = limbs_.size(); i > 0; --i) {
    rest = (rest << kLimbBits) | limbs_[i - 1];
    limbs_[i - 1] = static_cast<uint32_t>(rest / divisor);
    rest %= divisor;
  }
  trim();
  return static_cast<uint32_t>(rest);
}

Natural Natural::from_decimal(std::string_view digits) {
  Natural out;
  for (char digit : digits) out.multiply_add(10, static_cast<uint32_t>(digit - '0'));
  return out;
}

Natural Natural::power(uint32_t base, uint32_t exponent) {
  Natural out(1);
  for (uint32_t i = 0; i < exponent; ++i) out.multiply_add(base, 0);
  return out;
}

size_t Natural::bit_length() const {
  if (limbs_.empty()) return 0;
  return (limbs_.size() - 1) * kLimbBits + static_cast<size_t>(std::bit_width(limbs_.back()));
}

bool Natural::bit(size_t index) const {
  size_t limb = index / kLimbBits;
  return limb < limbs_.size() && ((limbs_[limb] >> (index % kLimbBits)) & 1) != 0;
}

size_t Natural::trailing_zeros() const {
  for (size_t i = 0; i < limbs_.size(); ++i) {
    if (limbs_[i] != 0) return i * kLimbBits + static_cast<size_t>(std::countr_zero(limbs_[i]));
  }
  return 0;
}

uint64_t Natural::low_bits() const {
  uint64_t out = limbs_.empty() ? 0 : limbs_[0];
  if (limbs_.size() > 1) out |= static_cast<uint64_t>(limbs_[1]) << kLimbBits;
  return out;
}

std::string Natural::decimal() const {
  if (limbs_.empty()) return "0";
  constexpr uint32_t kChunk = 1'000'000'000;
  constexpr size_t kChunkDigits = 9;
  std::string out;
  Natural rest = *this;
  while (!rest.is_zero()) {
    uint32_t chunk = rest.divide_small(kChunk);
    for (size_t i = 0; i < kChunkDigits; ++i) {
      out += static_cast<char>('0' + chunk % 10);
      chunk /= 10;
    }
  }
  while (out.size() > 1 && out.back() == '0') out.pop_back();
  std::ranges::reverse(out);
  return out;
}

Natural operator+(const Natural& a, const Natural& b) {
  Natural out;
  size_t size = std::max(a.limbs_.size(), b.limbs_.size());
  out.limbs_.resize(size + 1);
  uint64_t carry = 0;
  for (size_t i = 0; i < size; ++i) {
    if (i < a.limbs_.size()) carry += a.limbs_[i];
    if (i < b.limbs_.size()) carry += b.limbs_[i];
    out.limbs_[i] = static_cast<uint32_t>(carry);
    carry >>= kLimbBits;
  }
  out.limbs_[size] = static_cast<uint32_t>(carry);
  out.trim();
  return out;
}

Natural operator-(const Natural& a, const Natural& b) {
  CHECK(compare(a, b) >= 0);
  Natural out = a;
  int64_t borrow = 0;
  for (size_t i = 0; i < out.limbs_.size(); ++i) {
    int64_t limb = static_cast<int64_t>(out.limbs_[i]) - borrow;
    if (i < b.limbs_.size()) limb -= b.limbs_[i];
    borrow = limb < 0 ? 1 : 0;
    out.limbs_[i] = static_cast<uint32_t>(limb + (borrow << kLimbBits));
  }
  out.trim();
  return out;
}

Natural operator*(const Natural& a, const Natural& b) {
  Natural out;
  out.limbs_.assign(a.limbs_.size() + b.limbs_.size(), 0);
  for (size_t i = 0; i < a.limbs_.size(); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < b.limbs_.size(); ++j) {
      carry += out.limbs_[i + j] + static_cast<uint64_t>(a.limbs_[i]) * b.limbs_[j];
      out.limbs_[i + j] = static_cast<uint32_t>(carry);
      carry >>= kLimbBits;
    }
    out.limbs_[i + b.limbs_.size()] = static_cast<uint32_t>(carry);
  }
  out.trim();
  return out;
}

Natural operator<<(const Natural& a, size_t bits) {
  if (a.is_zero()) return a;
  size_t whole = bits / kLimbBits;
  size_t part = bits % kLimbBits;
  Natural out;
  out.limbs_.assign(a.limbs_.size() + whole + 1, 0);
  for (size_t i = 0; i < a.limbs_.size(); ++i) {
    uint64_t wide = static_cast<uint64_t>(a.limbs_[i]) << part;
    out.limbs_[i + whole] |= static_cast<uint32_t>(wide);
    out.limbs_[i + whole + 1] |= static_cast<uint32_t>(wide >> kLimbBits);
  }
  out.trim();
  return out;
}

Natural operator>>(const Natural& a, size_t bits) {
  size_t whole = bits / kLimbBits;
  size_t part = bits % kLimbBits;
  Natural out;
  for (size_t i = whole; i < a.limbs_.size(); ++i) {
    uint64_t wide = a.limbs_[i];
    if (i + 1 < a.limbs_.size()) wide |= static_cast<uint64_t>(a.limbs_[i + 1]) << kLimbBits;
    out.limbs_.push_back(static_cast<uint32_t>(wide >> part));
  }
  out.trim();
  return out;
}

int compare(const Natural& a, const Natural& b) {
  if (a.limbs_.size() != b.limbs_.size()) return a.limbs_.size() < b.limbs_.size() ? -1 : 1;
  for (size_t i = a.limbs_.size(); i > 0; --i) {
    if (a.limbs_[i - 1] != b.limbs_[i - 1]) return a.limbs_[i - 1] < b.limbs_[i - 1] ? -1 : 1;
  }
  return 0;
}

// Bit by bit: a division is rare here, and short.
Natural::Division divide(const Natural& a, const Natural& b) {
  CHECK(!b.is_zero());
  Natural::Division out;
  size_t bits = a.bit_length();
  out.quotient.limbs_.assign(bits / kLimbBits + 1, 0);
  for (size_t i = bits; i > 0; --i) {
    out.remainder = out.remainder << 1;
    if (a.bit(i - 1)) out.remainder = out.remainder + Natural(1);
    if (compare(out.remainder, b) < 0) continue;
    out.remainder = out.remainder - b;
    out.quotient.limbs_[(i - 1) / kLimbBits] |= uint32_t{1} << ((i - 1) % kLimbBits);
  }
  out.quotient.trim();
  return out;
}

}  // namespace sluice::hcl
