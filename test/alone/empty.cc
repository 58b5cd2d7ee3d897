// The empty program that each library is linked into whole, with only what it may use.
int main() {
  return 0;
}
