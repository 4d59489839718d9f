# Outputs and gradients of small networks of internal/train, as PyTorch computes them in double precision:
#
#   /usr/bin/python3 bench/torch_gradients.py >internal/train/testdata/torch.json
#
# Inputs and weights follow a formula, pattern, that TestGradientsAreTorchs has too; of each result there are at most 32 values.
import json

import numpy
import torch
import torch.nn.functional as F

BATCH, LABELS, SIDE = 3, 2, 8


def pattern(name, rows, cols):
    seed = sum(name.encode())
    values = ((numpy.arange(rows * cols) * 7919 + seed * 104729) % 2003 / 2003 - 0.5) * 2 / numpy.sqrt(rows)
    values += name.endswith("gamma")
    return torch.tensor(values.astype(numpy.float32).astype(numpy.float64)).view(rows, cols).requires_grad_()


def sample(values):
    flat = values.detach().flatten()
    return [float("%.8g" % v) for v in flat[:: max(1, len(flat) // 32)][:32]]


class Net:
    """Weights by name, made when they are first asked for."""

    def __init__(self):
        self.weights = {}

    def get(self, name, rows, cols):
        if name not in self.weights:
            self.weights[name] = pattern(name, rows, cols)
        return self.weights[name]

    def dense(self, name, x, out):
        return x @ self.get(name, x.shape[1], out)

    def conv(self, name, x, out, bias):  # images are NHWC
        w = self.get(name + ".w", 16 * x.shape[3], out).view(4, 4, x.shape[3], out)
        y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), stride=2, padding=1).permute(0, 2, 3, 1)
        return y + (self.get(name + ".b", 1, y[0].numel()).view(y.shape[1:]) if bias == "position" else self.get(name + ".b", 1, out))

    def deconv(self, name, x, out, stride, pad):
        w = self.get(name, x.shape[3], 16 * out).view(x.shape[3], 4, 4, out)
        y = F.conv_transpose2d(x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2), stride=stride).permute(0, 2, 3, 1)
        side = stride * x.shape[1]
        return y[:, pad : pad + side, pad : pad + side]

    def norm(self, name, x):
        channels = x.shape[-1]
        y = F.batch_norm(x.reshape(-1, channels), None, None, training=True, eps=1e-3).view(x.shape)
        return y * self.get(name + ".gamma", 1, channels) + self.get(name + ".beta", 1, channels)


def gate(net, x, channels):
    a, b, c = channels
    h = SIDE // 4
    x = F.leaky_relu(net.dense("generator.fc.weight", x, h * h * a) + net.get("generator.fc.bias", 1, h * h * a), 0.2).view(BATCH, h, h, a)
    x = F.leaky_relu(net.deconv("generator.deconv1.weight", x, b, 2, 1) + net.get("generator.deconv1.bias", 1, b), 0.2)
    x = F.leaky_relu(net.deconv("generator.deconv2.weight", x, c, 2, 1) + net.get("generator.deconv2.bias", 1, c), 0.2)
    x = F.avg_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    return (x @ net.get("generator.logits.weight", c, 16)).flatten(1)


def paper(net, x, channels, hidden=6):
    a, b, c = channels
    h = SIDE // 4
    x = F.leaky_relu(net.norm("generator.fc1", net.dense("generator.fc1.weight", x, hidden)), 0.01)
    x = F.leaky_relu(net.norm("generator.fc2", net.dense("generator.fc2.weight", x, h * h * a)), 0.01).view(BATCH, h, h, a)
    x = F.leaky_relu(net.norm("generator.deconv1", net.deconv("generator.deconv1.weight", x, b, 2, 1)), 0.01)
    x = F.leaky_relu(net.norm("generator.deconv2", net.deconv("generator.deconv2.weight", x, c, 2, 1)), 0.01)
    return torch.tanh(net.deconv("generator.conv.weight", x, 1, 1, 2) + net.get("generator.conv.bias", 1, 1)).flatten(1)


def critic(net, x, labels):
    x = F.leaky_relu(net.conv("critic.conv1", x.view(BATCH, SIDE, SIDE, 1), 32, "position"), 0.2)
    x = F.leaky_relu(net.conv("critic.conv2", x, 32, "position"), 0.2).flatten(1)
    x = net.dense("critic.fc3.w", x, 256) + net.get("critic.fc3.b", 1, 256) + net.dense("critic.embed.w", labels, 256)
    x = F.leaky_relu(x, 0.2)
    x = F.leaky_relu(net.dense("critic.fc4.w", x, 128) + net.get("critic.fc4.b", 1, 128), 0.2)
    return net.dense("critic.fc5.w", x, 1) + net.get("critic.fc5.b", 1, 1)


def paper_critic(net, x, labels):
    x = F.leaky_relu(net.conv("critic.conv1", x.view(BATCH, SIDE, SIDE, 1), 64, "channel"), 0.01)
    x = F.leaky_relu(net.conv("critic.conv2", x, 128, "channel"), 0.01).flatten(1)
    x = F.layer_norm(net.dense("critic.fc3.w", x, 1024) + net.dense("critic.embed.w", labels, 1024), (1024,), eps=1e-6)
    x = F.leaky_relu(x * net.get("critic.gamma", 1, 1024) + net.get("critic.beta", 1, 1024), 0.01)
    return net.dense("critic.fc4.w", x, 1) + net.get("critic.fc4.b", 1, 1)


def generator_case(network, channels):
    net = Net()
    y = network(net, pattern("noise", BATCH, 3 + LABELS), channels)
    (y * pattern("slope", *y.shape)).sum().backward()
    return {"output": sample(y), "gradients": {name: sample(w.grad) for name, w in net.weights.items()}}


def critic_case(network, penalty):
    net, x = Net(), pattern("x", BATCH, SIDE * SIDE)
    score = network(net, x, pattern("labels", BATCH, LABELS))
    slope, = torch.autograd.grad(score.sum(), x, create_graph=True)
    (score.mean() + penalty(slope)).backward()
    return {"output": sample(score), "input": sample(slope), "gradients": {name: sample(w.grad) for name, w in net.weights.items()}}


print(json.dumps({
    "generator gate": generator_case(gate, (20, 6, 4)),
    "generator paper": generator_case(paper, (5, 4, 3)),
    "critic gan": critic_case(critic, lambda d: d.square().sum()),
    "critic paper": critic_case(paper_critic, lambda d: ((d.square().sum(1) + 1e-10).sqrt() - 1).square().mean()),
}, indent=1))
