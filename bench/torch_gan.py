# Recipe gan's networks and one step in PyTorch, as internal/train and internal/model have them, but for the trees: each digit
# of the 14 x 14 is drawn from its own logits, all at once, which is less work than to walk a tree for each. Like torch_paper.py
# it does one piece of work for each line of stdin, on one thread.
import os, sys

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before the libraries look

import torch
from torch import nn
import torch.nn.functional as F

BATCH, NOISE, SIDE, VALUES = 64, 64, 14, 16
torch.set_num_threads(1)
torch.manual_seed(1)
UNIT = (torch.arange(VALUES) * 16 + 8) / 128. - 1


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(NOISE, 32 * 7 * 7)
        self.deconv1, self.deconv2 = nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ConvTranspose2d(16, 16, 4, 2, 1)
        self.logits = nn.Conv2d(16, VALUES, 1, bias=False)
        self.theta, self.bias = nn.Parameter(torch.zeros(SIDE, SIDE, VALUES)), nn.Parameter(torch.zeros(SIDE, SIDE, VALUES))

    def forward(self, z):
        x = F.leaky_relu(self.fc(z), 0.2).view(-1, 32, 7, 7)
        x = F.leaky_relu(self.deconv2(F.leaky_relu(self.deconv1(x), 0.2)), 0.2)
        net = self.logits(F.avg_pool2d(x, 2)).permute(0, 2, 3, 1)
        drawn = F.gumbel_softmax(net + 20 * self.theta + self.bias, tau=1, hard=True)
        return net, (drawn @ UNIT).unsqueeze(1).repeat_interleave(2, 2).repeat_interleave(2, 3)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 4, 2, 1, bias=False), nn.Conv2d(32, 32, 4, 2, 1, bias=False)
        self.bias1, self.bias2 = nn.Parameter(torch.zeros(32, 14, 14)), nn.Parameter(torch.zeros(32, 7, 7))
        self.fc3, self.fc4, self.fc5 = nn.Linear(32 * 7 * 7, 256), nn.Linear(256, 128), nn.Linear(128, 1)
        self.embed = nn.Parameter(torch.zeros(256))

    def forward(self, x):
        x = F.leaky_relu(self.conv1(x) + self.bias1, 0.2)
        x = F.leaky_relu(self.conv2(x) + self.bias2, 0.2).flatten(1)
        return self.fc5(F.leaky_relu(self.fc4(F.leaky_relu(self.fc3(x) + self.embed, 0.2)), 0.2))


generator, critic = Generator(), Critic()
adam_g = torch.optim.Adam(generator.parameters(), 1e-4, (0, 0.99))
adam_c = torch.optim.Adam(critic.parameters(), 5e-4, (0, 0.99))
average = [p.detach().clone() for p in generator.parameters()]
captured = UNIT[torch.randint(VALUES, (BATCH, 1, SIDE, SIDE))].repeat_interleave(2, 2).repeat_interleave(2, 3)
steps = 0


def step():
    global steps
    steps += 1
    for p in critic.parameters():
        p.requires_grad_(False)  # the generator's step needs no gradients of these
    net, fake = generator(torch.randn(BATCH, NOISE))
    adam_g.zero_grad()
    (-critic(fake).mean() + 3 * (net * net).mean()).backward()
    adam_g.step()
    with torch.no_grad():
        for a, p in zip(average, generator.parameters()):
            a.lerp_(p, 0.002)
    for p in critic.parameters():
        p.requires_grad_(True)
    penalised = steps % 4 == 0
    real = captured.clone().requires_grad_(penalised)
    real_score, fake_score = critic(torch.cat((real, fake.detach()))).split(BATCH)
    loss = F.relu(1 - real_score).mean() + F.relu(1 + fake_score).mean()
    if penalised:
        slope, = torch.autograd.grad(real_score.sum(), real, create_graph=True)
        loss = loss + 4 * slope.square().sum() / BATCH
    adam_c.zero_grad()
    loss.backward()
    adam_c.step()


print("done", flush=True)
for line in sys.stdin:
    step()
    print("done", flush=True)
