"""
Which classes are mistaken for which
====================================

An accuracy is one number; the confusion matrix says where it is lost. To have something to lose, the net is given digits
whose lower third is missing.
"""

from dataclasses import replace

import smallnets as sn

net = sn.lenet5(weights="digits")
test = sn.data.load("digits", "test")
whole = sn.evaluate(net, test)
print(f"whole digits: accuracy {whole.accuracy:.4f} of {whole.n}")

# %%
# Rows are the true classes, columns the predicted ones. On the diagonal the net is right.

pixels = test.images.clone()
pixels[:, :, 20:] = 0  # the lower part
cut = replace(test, images=pixels)
metrics = sn.evaluate(net, cut)
confusion = metrics.plot_confusion()

# %%
# By class, the worst first:

for name, accuracy in sorted(metrics.per_class.items(), key=lambda item: item[1])[:3]:
    print(f"{name}: {accuracy:.4f}")

# %%
# The same as pictures. A wrong answer is red, and says what is true.

few = cut[:24]
grid = sn.predict(net, few).grid(few)
