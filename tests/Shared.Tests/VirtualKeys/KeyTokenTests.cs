using CsCheck;
using Shared.VirtualKeys;

namespace Shared.Tests.VirtualKeys;

public class KeyTokenTests
{
    [Fact]
    public void TryParse_NewTokens_GivesTheirIdAndHash()
    {
        for (var i = 0; i < 200; i++)
        {
            var issued = i % 2 == 0 ? KeyToken.NewVirtualKey() : KeyToken.NewAdminKey();
            var hash = new byte[32];

            Assert.True(KeyToken.TryParse(issued.Token, i % 2 == 0 ? KeyToken.VirtualKeyPrefix : KeyToken.AdminKeyPrefix, out var id, hash));

            Assert.Equal(issued.Id, id);
            Assert.Equal(KeyToken.IdLength, id.Length);
            Assert.Equal(issued.SecretHash, hash);
            Assert.Equal(55, issued.Token.Length);
        }
    }

    [Fact]
    public void TryParse_AnyCharacterChanged_IsRefused()
    {
        var token = KeyToken.NewVirtualKey().Token;
        Gen.Select(Gen.Int[0, token.Length - 1], Gen.Char).Sample((at, changed) =>
        {
            if (changed != token[at])
            {
                Assert.False(KeyToken.TryParse($"{token[..at]}{changed}{token[(at + 1)..]}", KeyToken.VirtualKeyPrefix, out _, new byte[32]));
            }
        }, iter: 3_000);
    }

    [Fact]
    public void TryParse_AnyText_IsRefusedWithoutThrowing() =>
        Gen.String.Sample(text => Assert.False(KeyToken.TryParse(text, KeyToken.VirtualKeyPrefix, out _, new byte[32])), iter: 2_000);

    [Fact]
    public void TryParse_OtherKindOfKeyOrLength_IsRefused()
    {
        var token = KeyToken.NewVirtualKey().Token;

        Assert.False(KeyToken.TryParse(token, KeyToken.AdminKeyPrefix, out _, new byte[32]));
        Assert.False(KeyToken.TryParse(token + "0", KeyToken.VirtualKeyPrefix, out _, new byte[32]));
        Assert.False(KeyToken.TryParse(token.AsSpan(..^1), KeyToken.VirtualKeyPrefix, out _, new byte[32]));
    }

    [Fact]
    public void Mask_Token_ShowsItsIdAlone() => Assert.Equal("sk-gw-0123456789-…", KeyToken.Mask(KeyToken.VirtualKeyPrefix, "0123456789"));
}
