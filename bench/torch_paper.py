# The paper's networks and one WGAN-GP step in PyTorch, as internal/train and internal/model have them: what package bench
# compares itself with. It reads a word a line from stdin, does that work once and answers "done"; all on one thread.
import os, sys

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before the libraries look

import numpy
import torch
from torch import nn
import torch.nn.functional as F

BATCH, DRAWN, NOISE = 32, 256, 64
torch.set_num_threads(1)
torch.manual_seed(1)


def norm(layer, channels):
    return layer(channels, eps=1e-3, momentum=1e-3)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(NOISE, 1024, bias=False), norm(nn.BatchNorm1d, 1024), nn.LeakyReLU(0.01),
            nn.Linear(1024, 256 * 7 * 7, bias=False), norm(nn.BatchNorm1d, 256 * 7 * 7), nn.LeakyReLU(0.01))
        self.deconv = nn.Sequential(
            nn.ConvTranspose2d(256, 64, 4, 2, 1, bias=False), norm(nn.BatchNorm2d, 64), nn.LeakyReLU(0.01),
            nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), norm(nn.BatchNorm2d, 32), nn.LeakyReLU(0.01))
        self.conv = nn.Conv2d(32, 1, 4)

    def forward(self, z):
        x = self.deconv(self.fc(z).view(-1, 256, 7, 7))
        return torch.tanh(self.conv(F.pad(x, (1, 2, 1, 2))))


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 64, 4, 2, 1), nn.LeakyReLU(0.01), nn.Conv2d(64, 128, 4, 2, 1), nn.LeakyReLU(0.01), nn.Flatten(),
            nn.Linear(128 * 7 * 7, 1024, bias=False), nn.LayerNorm(1024), nn.LeakyReLU(0.01), nn.Linear(1024, 1))

    def forward(self, x):
        return self.net(x)


generator, critic = Generator(), Critic()
adam_g = torch.optim.Adam(generator.parameters(), 1e-3, (0.5, 0.999), weight_decay=2.5e-5)
adam_c = torch.optim.Adam(critic.parameters(), 1e-4, (0.5, 0.999), weight_decay=2.5e-5)
captured = torch.rand(BATCH, 1, 28, 28) * 2 - 1
a, b = (numpy.random.rand(*shape).astype(numpy.float32) for shape in ((3136, 1024), (1024, 128)))  # as pairs.go's
c = numpy.empty((3136, 128), numpy.float32)


def step():
    for p in critic.parameters():
        p.requires_grad_(False)  # the generator's step needs no gradients of these
    fake = generator(torch.randn(BATCH, NOISE))
    adam_g.zero_grad()
    (-critic(fake).mean()).backward()
    adam_g.step()
    for p in critic.parameters():
        p.requires_grad_(True)
    fake = fake.detach()
    share = torch.rand(BATCH, 1, 1, 1)
    mixed = (captured + share * (fake - captured)).requires_grad_()
    real_score, fake_score = critic(torch.cat((captured, fake))).split(BATCH)
    slope, = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    adam_c.zero_grad()
    (fake_score.mean() - real_score.mean() + penalty).backward()
    adam_c.step()


def generate():
    generator.eval()
    with torch.no_grad():
        generator(torch.randn(DRAWN, NOISE))
    generator.train()


def multiply():
    numpy.matmul(a, b, out=c)


multiply()
if "openblas" not in open("/proc/self/maps").read():
    sys.exit("numpy uses no OpenBLAS: install libopenblas0-pthread")
work = {"step": step, "generate": generate, "multiply": multiply}
print("done", flush=True)
for line in sys.stdin:
    work[line.strip()]()
    print("done", flush=True)
