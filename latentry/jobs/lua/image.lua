-- ARGV: ref, fence, index, image JSON. Answers 1 if the picture is listed now, 0 if the lease is lost.
local ref = ARGV[1]
if not holds(ref, ARGV[2]) then
  return 0
end
list_image(ref, ARGV[3], ARGV[4])
return 1
