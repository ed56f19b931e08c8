-- ARGV: ref, fence. The worker hands an unfinished job back, which counts for nothing.
-- Answers 1 if it went back to its line, 0 if the lease was lost already.
local ref = ARGV[1]
if not holds(ref, ARGV[2]) then
  return 0
end
hand_back(ref)
return 1
